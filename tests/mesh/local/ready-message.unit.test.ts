import { execFileSync } from 'node:child_process';
import { basename, dirname } from 'node:path';
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

void t.test('no line shows a secret, in whatever part of a URL it is', (t) => {
  const nats = [
    'nats://s3cret@127.0.0.1:4222',
    'nats://u:s3cret@one:4222,nats://u:s3cret@two:4222',
  ];
  const postgres = [
    'postgres://owner:s3cret@db/increments?options=-c%20a%3Ds3cret',
    'postgres:///increments?host=/run/pg&user=owner&password=s3cret&sslpassword=s3cret',
  ];
  for (const [index, url] of nats.entries()) {
    const mesh = {
      ...MESH,
      nats: [{ pid: null, url }],
      postgres: { pid: null, url: postgres[index]! },
    };
    const message = readyMessage(mesh, '.mesh', { keysFile: undefined });
    t.notMatch(message, /s3cret|owner/);
    t.match(message, /^ {2}postgres .*increments$/m);
  }
  t.end();
});

void t.test('whatever is in a path, the lines to paste are those words for the shell', (t) => {
  const folder = `it's, "a" \\n; $HOME #ü`;
  const message = readyMessage(MESH, folder, { keysFile: folder });
  const line = message.split('\n').find((one) => one.startsWith('XDG_CONFIG_HOME='))!;
  const [variable] = line.split(' nats ');
  const found = execFileSync('sh', ['-c', `${variable} printenv XDG_CONFIG_HOME`], {
    encoding: 'utf8',
    cwd: '/',
  });
  t.equal(basename(dirname(found)), folder);
  t.end();
});
