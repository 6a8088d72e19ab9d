import t from 'tap';
import { readyMessage } from '../../../mesh/local/ready-message.ts';
import type { MeshFile } from '../../../mesh/local/mesh-file.ts';

const MESH: MeshFile = {
  gateways: [{ pid: 1, url: 'http://127.0.0.1:3000', metrics: '' }],
  proxy: null,
  counters: [{ pid: 2, metrics: '' }],
  nats: [{ pid: 3, url: 'nats://inspector:secret@127.0.0.1:4222' }],
  postgres: { pid: 4, url: 'postgres://owner:secret@127.0.0.1:5432/increments' },
};

void t.test('the lines to paste ask with a key where gateways ask for one', (t) => {
  const curlLines = (keysFile: string | undefined) =>
    readyMessage(MESH, '.mesh', { keysFile })
      .split('\n')
      .filter((line) => line.startsWith('curl '));
  t.equal(curlLines(undefined).length, 2);
  for (const line of curlLines(undefined)) t.notMatch(line, 'authorization');
  t.equal(curlLines('keys.json').length, 2);
  for (const line of curlLines('keys.json')) t.match(line, '-H "authorization: Bearer $KEY"');
  t.match(
    readyMessage(MESH, '.mesh', { keysFile: 'keys.json' }),
    'npm run mesh -- keys add me --scopes write,read --file keys.json',
  );
  t.notMatch(readyMessage(MESH, '.mesh', { keysFile: undefined }), 'secret');
  t.end();
});
