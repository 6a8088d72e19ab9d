import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeFolder } from '../../support/folders.ts';
import { runCommand } from './run-command.ts';

void t.test('sql prints the schema that is set, whatever mesh runs here', async (t) => {
  const folder = makeFolder(t);
  const mesh = {
    gateways: [],
    proxy: null,
    counters: [],
    nats: [{ pid: null, url: 'nats://of-the-mesh' }],
    postgres: { pid: null, url: 'postgres://of-the-mesh', schema: 'increment_mesh' },
  };
  writeFileSync(join(folder, 'mesh.json'), JSON.stringify(mesh));
  const { output } = await runCommand('sql', { DATA_DIR: folder, DATABASE_SCHEMA: 'orders' });
  t.match(output, /^create schema if not exists "?orders"?;$/m);
  t.notMatch(output, /increment_mesh/);
});
