import { stripVTControlCharacters } from 'node:util';
import t from 'tap';
import { COMMANDS } from '../../mesh/cli/commands.ts';
import { readyMessage } from '../../mesh/local/ready-message.ts';
import { readText } from './pages.ts';

void t.test('the README shows what npm start prints', (t) => {
  const gateway = { url: 'http://127.0.0.1:3000', metrics: '' };
  const mesh = {
    gateways: [1, 2].map((pid) => ({ ...gateway, pid })),
    proxy: null,
    counters: [3, 4].map((pid) => ({ pid, metrics: '' })),
    nats: [{ pid: 5, url: 'nats://inspector:secret@127.0.0.1:20621' }],
    postgres: { pid: 6, url: 'postgres://owner:secret@127.0.0.1:28639/increments' },
  };
  const printed = stripVTControlCharacters(readyMessage(mesh, '.mesh', { keysFile: undefined }));
  const [addresses = ''] = printed.trim().split('\n\nPost an increment:');
  t.ok(readText('README.md').includes(`\`\`\`\n${addresses}\n\`\`\``), addresses);
  t.end();
});

void t.test('every command is in docs/operations.md', (t) => {
  const page = readText('docs/operations.md');
  for (const { name } of COMMANDS) {
    const [group = '', verb] = name.split(' ');
    t.ok(page.includes(`mesh -- ${group}`), name);
    if (verb !== undefined) t.match(page, new RegExp(`\\b${verb}\\b`), name);
  }
  t.end();
});
