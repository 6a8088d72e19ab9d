import { readFileSync } from 'node:fs';
import t from 'tap';
import { describeDenial } from '../../nats/denials.ts';
import { matchesSubject, permissionsOf } from '../../nats/permissions.ts';
import type { NatsRole } from '../../nats/roles.ts';

const ROLES_CONF = readFileSync(new URL('../../nats/roles.conf', import.meta.url), 'utf8');
const ACCOUNTS = {
  gateway: 'GATEWAYS',
  counter: 'COUNTERS',
  provisioner: 'STREAMS',
  inspector: 'PEOPLE',
} as const;

for (const role of Object.keys(ACCOUNTS) as (keyof typeof ACCOUNTS)[]) {
  void t.test(`what ${role} may do in one account is what nats/roles.conf lets it do`, (t) => {
    const { publish, subscribe } = permissionsOf(role);
    const granted = readUser(role);
    const { services, streams } = readImports(ACCOUNTS[role]);
    // An answer to another account's requester goes to a subject that stands for its inbox.
    const requesters = role === 'counter' ? ['inspector', 'gateway'] : ['inspector'];
    const answers = (one: string) =>
      one === '_R_.>' ? requesters.map((requester) => `_INBOX.${requester}.>`) : [one];
    t.strictSame(sort(subscribe), sort(granted.subscribe));
    t.ok(streams.every((subject) => granted.subscribe.some((one) => matchesSubject(one, subject))));
    if (role === 'inspector') {
      // There the account's imports are the limit.
      const imported = services.filter((one) => !one.startsWith('$SYS.'));
      const ofOneself = ['$SYS.REQ.USER.INFO', '_INBOX.inspector.>'];
      t.strictSame(sort(publish), sort([...new Set([...imported, ...ofOneself])]));
      const isGranted = (one: string) => granted.publish.some((may) => matchesSubject(may, one));
      t.strictSame(
        publish.filter((one) => !isGranted(one)),
        [],
      );
    } else {
      t.strictSame(sort(publish), sort(granted.publish.flatMap(answers)));
      const imported = services.filter((one) => one !== '$JS.API.INFO');
      t.strictSame(
        imported.filter((one) => !publish.includes(one)),
        [],
      );
    }
    t.end();
  });
}

void t.test('prefix and domain are in every permission that they change', (t) => {
  const { publish, subscribe } = permissionsOf('counter', { inboxPrefix: '_M', domain: 'hub' });
  t.ok(publish.includes('$JS.hub.API.STREAM.INFO.INCREMENTS'));
  t.notOk(publish.some((one) => one.startsWith('$JS.API')));
  t.ok(publish.includes('_M.inspector.>') && subscribe.includes('_M.counter.>'));
  t.end();
});

void t.test('a denial names the subject, the role and the missing permission', (t) => {
  const subject = '$JS.ACK.INCREMENTS.counter.1.2.3.4.5';
  const line = describeDenial({ operation: 'publish', subject }, { role: 'counter' });
  t.match(line, `does not let the counter publish to ${subject}: allow its user to publish to `);
  t.match(line, /to \$JS\.ACK\.INCREMENTS\.counter\.> \(/);
  const unknown = { operation: 'subscription', subject: 'a.b' } as const;
  t.match(describeDenial(unknown, { role: 'gateway' }), /allow its user to subscribe to a\.b \(/);
  t.end();
});

void t.test('which subjects a pattern has', (t) => {
  const cases: [string, string, boolean][] = [
    ['a.b', 'a.b', true],
    ['a.b', 'a.b.c', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a.>', false],
    ['a.>', 'a', false],
    ['a.>', 'a.b.c', true],
    ['a.>', 'a.*.>', true],
    ['*.b', 'a.c', false],
  ];
  for (const [pattern, subject, is] of cases) {
    t.equal(matchesSubject(pattern, subject), is, `${pattern} ${subject}`);
  }
  t.end();
});

function readUser(role: NatsRole): { publish: string[]; subscribe: string[] } {
  const user = ROLES_CONF.split('user: ').find((part) => part.startsWith(role)) ?? '';
  const list = (verb: string) => quoted(new RegExp(`${verb}: \\[([^\\]]*)\\]`).exec(user)?.[1]);
  // Inboxes of earlier services are no part of what this version needs.
  const subscribe = list('subscribe').filter((one) => !one.startsWith('_INBOX_'));
  return { publish: list('publish'), subscribe };
}

function readImports(account: string): { services: string[]; streams: string[] } {
  const block = new RegExp(`^  ${account} \\{[^]*?^  \\}`, 'm').exec(ROLES_CONF)?.[0] ?? '';
  const imports = /imports: \[([^]*?)^    \]/m.exec(block)?.[1] ?? '';
  const of = (kind: string) =>
    [...imports.matchAll(new RegExp(`\\{ ${kind}: \\{.*subject: "(.*)"`, 'g'))].map(
      ([, subject = '']) => subject,
    );
  return { services: of('service'), streams: of('stream') };
}

function quoted(text = ''): string[] {
  return [...text.replaceAll(/#.*/g, '').matchAll(/"(.*?)"/g)].map(([, one = '']) => one);
}

function sort(subjects: string[]): string[] {
  return subjects.toSorted();
}
