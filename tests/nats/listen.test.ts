import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { startBareServer } from './bare-server.ts';

const ROOM = fileURLToPath(new URL('../../nats', import.meta.url));

void t.test('what a listener throws ends the process, which would be deaf otherwise', async (t) => {
  const url = await startBareServer(t);
  const program = `
    import { connectToNats } from '${ROOM}/connect.ts';
    import { listen } from '${ROOM}/listen.ts';
    const connection = await connectToNats({ url: '${url}', role: 'counter', onRetry() {} });
    listen(connection, 'odd', () => { throw new Error('an odd message'); });
    connection.publish('odd');
    setTimeout(() => process.exit(0), 10_000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  t.equal(code, 1);
  t.match(errors, 'an odd message');
});
