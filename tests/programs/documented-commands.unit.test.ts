import t from 'tap';
import { findMissingLine, readDocumentedCommands } from './documented-commands.ts';

void t.test('commands of the nats CLI are found wherever people read them', (t) => {
  const printed = "XDG_CONFIG_HOME='/a b/clients' nats --context mesh stream info PRINTED\n";
  const commands = readDocumentedCommands(printed);
  const found = commands.map(({ line, isInContainer }) => (isInContainer ? `${line} there` : line));
  for (const [place, line] of Object.entries({
    'compose.yaml': 'nats stream report there',
    'a table of a page': 'nats --context servers server ls there',
    'the help of a command': 'nats --context increment-mesh micro stats counter',
    'what npm start prints': 'nats --context mesh stream info PRINTED',
    'a block with output': 'nats context info mesh',
    'the middle of a sentence': 'nats micro ls',
  })) {
    t.ok(found.includes(line), `${place}: ${line}`);
  }
  t.notOk(
    commands.some(({ line }) => /nats CLI|nats-server/.test(line)),
    'and nothing else',
  );
  t.end();
});

void t.test('output is compared by its words', (t) => {
  const output = `
╭────────┬──────────────────╮
│ nats-2 │ 1.2 KiB (34.90s) │
╰────────┴──────────────────╯
            Messages: 5
    created 2026-11-27 09:23:28, Ack Wait: 12.00s
  Nats-Msg-Id: 01a21c51-a667-70de-8f8c-0f7ac7230b64
counter (6xCJBaXymzRLnCQej4MoPh)`;
  for (const line of [
    '│ nats-3* │ 0 B (2m0s) │',
    'Messages: 100,000',
    'created 2027-01-01 00:00:00, Ack Wait: 250ms',
    'Nats-Msg-Id: 00000000-a667-70de-8f8c-0f7ac7230b64',
    'counter (u4Je8GLheovYS2tuR1ASqo)',
    '…',
  ]) {
    t.equal(findMissingLine([line], output), undefined, line);
  }
  t.equal(findMissingLine(['Messages: 5', 'Bytes: 5'], output), 'Bytes: 5');
  t.end();
});
