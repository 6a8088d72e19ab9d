import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { connect } from '@nats-io/transport-node';
import t from 'tap';
import { makeSecrets, USERS } from '../../mesh/deploy/secrets.ts';
import type { NatsRole } from '../../nats/roles.ts';
import { readVersion } from '../../schema/version.ts';
import { startClusterMesh, type ClusterMesh } from '../mesh/cluster-mesh.ts';
import { runCommand } from '../mesh/cli/run-command.ts';
import { inheritedEnvironment } from '../support/inherited-environment.ts';
import { send } from '../support/load.ts';
import { freeze, sendSignal } from '../support/freeze.ts';
import { makeFolder } from '../support/folders.ts';
import { until } from '../support/until.ts';
import { findGoProgram } from './cached-program.ts';
import { findMissingLine, readDocumentedCommands } from './documented-commands.ts';

const SOURCE = 'github.com/nats-io/natscli/nats@v0.5.0';
const RUN_MS_MAX = 12_000;
const CRITICAL = 2;
/** A flush may take what a command looks for. */
const ATTEMPTS_MAX = 3;

interface Outcome {
  code: number | null;
  output: string;
}

t.setTimeout(1_750_000);

await t.test('the nats CLI', async (t) => {
  const cli = await findGoProgram('nats', SOURCE);
  if (typeof cli !== 'string') {
    t.pass(cli.reason, { skip: true });
    return;
  }
  const settingsOfMesh = { FLUSH_INTERVAL_MS: '9000', GATEWAYS: '2' };
  const mesh = await startClusterMesh(t, settingsOfMesh);
  const settings = join(mesh.dataDir, 'clients');
  const folder = makeFolder(t);
  const nats = makeShell(folder, cli, settings);
  const natsInContainer = makeShell(folder, cli, writeContainerContexts(folder, mesh));
  const passwords = Object.values(readPasswords(mesh));
  await storeJunk(mesh, 3);

  await t.test('contexts for each role are made by a command', async (t) => {
    const onMesh = { DATA_DIR: mesh.dataDir, XDG_CONFIG_HOME: settings };
    for (const line of ['', '--role operator', '--role provisioner']) {
      t.equal((await runCommand(`nats-context ${line}`, onMesh)).code, 0, line);
    }
  });

  await t.test('no password is on the screen, and what tries a connection succeeds', async (t) => {
    for (const role of ['', '-operator', '-provisioner']) {
      const context = `increment-mesh${role}`;
      for (const line of [
        `nats context info ${context}`,
        `nats --context ${context} account info`,
        `nats --context ${context} rtt`,
        `nats --context ${context} server check connection`,
      ]) {
        const { code, output } = await nats(line);
        t.equal(code, 0, line);
        t.notOk(
          passwords.some((password) => output.includes(password)),
          `${line}: no password`,
        );
        // Only the operator has nothing to do with JetStream.
        const isDenied = /permissions violation/i.test(output);
        t.equal(isDenied, line.endsWith('operator account info'), `${line}\n${output}`);
      }
    }
  });

  await t.test('every service has the same version', async (t) => {
    const { output } = await nats('nats --context mesh micro ls');
    t.match(output, /│ counter /);
    t.match(output, /│ gateway /);
    // Said once where it is the same.
    t.strictSame(output.match(/\d+\.\d+\.\d+/g), [readVersion()]);
  });

  await t.test('the provisioner can page through both streams', async (t) => {
    for (const stream of ['INCREMENTS', 'INCREMENTS_DEAD']) {
      await keepMessages(mesh);
      const line = `nats --context increment-mesh-provisioner stream view ${stream}`;
      const { output } = await nats(line);
      t.match(output, /apparent end of data/, stream);
      t.notMatch(output, /violation/i, stream);
    }
  });

  await t.test('a broker that is away is CRITICAL there, and seen by status', async (t) => {
    const onMesh = { DATA_DIR: mesh.dataDir };
    const leader = await mesh.findLeader();
    const other = mesh.names.nats.find((name) => name !== leader)!;
    const pid = mesh.pidOf(other);
    await freeze({ pid, kill: (signal) => sendSignal(pid, signal) });
    try {
      const check = () => nats('nats --context mesh server check jetstream');
      const { output } = await until('CRITICAL', check, ({ code }) => code === CRITICAL, 60_000);
      t.match(output, /^CRITICAL JetStream/m);
      const status = await runCommand('status', onMesh);
      t.notMatch(status.output, /All is well/, status.output);
      t.not(status.code, 0);
    } finally {
      sendSignal(pid, 'SIGCONT');
    }
    const isWell = async () =>
      (await nats('nats --context mesh server check jetstream')).code === 0;
    await until('it is back', isWell, Boolean, 60_000);
  });

  await t.test('every command that a page names does what it is said to do', async (t) => {
    const commands = readDocumentedCommands(mesh.output());
    t.ok(commands.length > 20, `${commands.length} commands`);
    for (const { place, line, isInContainer, output: documented } of commands) {
      const isRefused = documented.some((one) => one.startsWith('nats: error'));
      const isAsSaid = ({ code, output }: Outcome) =>
        (code === 0) === !isRefused && findMissingLine(documented, output) === undefined;
      let outcome: Outcome;
      let attempts = 0;
      do {
        await keepMessages(mesh);
        outcome = await (isInContainer ? natsInContainer : nats)(line);
      } while (!isAsSaid(outcome) && ++attempts < ATTEMPTS_MAX);
      const { code, output } = outcome;
      const what = `${place}: ${line} (${code})\n${output}`;
      t.equal(code === 0, !isRefused, what);
      t.equal(findMissingLine(documented, output), undefined, what);
      if (!isRefused) t.notMatch(output, /violation/i, what);
    }
  });
});

/** Runs a line as a reader does: in a terminal, with `mesh` as the context where it names none. */
function makeShell(
  folder: string,
  cli: string,
  settings: string,
): (line: string) => Promise<Outcome> {
  const programs = join(folder, 'bin');
  if (!existsSync(programs)) {
    mkdirSync(programs);
    symlinkSync(cli, join(programs, 'nats'));
  }
  const inherited = inheritedEnvironment();
  const env = {
    ...inherited,
    PATH: `${programs}:${inherited['PATH']}`,
    HOME: folder,
    SHELL: '/bin/sh',
    XDG_CONFIG_HOME: settings,
    NATS_CONTEXT: 'mesh',
  };
  return async (line) => {
    const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      // What waits for an answer ends here, and the test fails.
      timeout: RUN_MS_MAX,
    });
    const closed = once(child, 'close');
    const printed = await text(child.stdout);
    await closed;
    return {
      code: child.killed ? null : child.exitCode,
      output: stripVTControlCharacters(printed).replaceAll('\r', ''),
    };
  };
}

/** Those of compose.yaml, with the brokers and passwords of this mesh. @returns where the nats CLI looks for them. */
function writeContainerContexts(folder: string, mesh: ClusterMesh): string {
  const secrets = join(folder, 'secrets');
  mkdirSync(secrets);
  const users = Object.fromEntries(Object.keys(USERS).map((user) => [user, process.getuid!()]));
  makeSecrets(secrets, ['nats-1'], users as typeof USERS);
  const url = mesh.describe().nats.map((broker) => `nats://${new URL(broker.url).host}`);
  const passwords = readPasswords(mesh);
  for (const name of ['mesh', 'servers']) {
    const file = join(secrets, 'inspector/nats/context', `${name}.json`);
    const context = JSON.parse(readFileSync(file, 'utf8')) as { user: keyof typeof passwords };
    rmSync(file);
    const changed = { ...context, url: url.join(','), password: passwords[context.user] };
    writeFileSync(file, JSON.stringify(changed));
  }
  return join(secrets, 'inspector');
}

function readPasswords({ dataDir }: ClusterMesh): Record<NatsRole, string> {
  const secrets = readFileSync(join(dataDir, 'secrets.json'), 'utf8');
  return (JSON.parse(secrets) as { nats: Record<NatsRole, string> }).nats;
}

/** As another program would, with the password of a gateway: each becomes a dead letter. */
async function storeJunk(mesh: ClusterMesh, count: number): Promise<void> {
  const { nats } = mesh.describe();
  const connection = await connect({
    servers: nats.map(({ url }) => new URL(url).host),
    user: 'gateway',
    pass: readPasswords(mesh).gateway,
    inboxPrefix: '_INBOX.gateway',
  });
  for (let index = 0; index < count; index++) {
    await connection.request('increments.http', `junk ${index}`, { timeout: 10_000 });
  }
  await connection.close();
  const letters = async () => (await mesh.scene.inspector.streams.info('INCREMENTS_DEAD')).state;
  await until('dead letters', letters, ({ messages }) => messages === count);
}

/** What a command looks for is in the stream, unless a flush takes it meanwhile; and no more than a page of it. */
async function keepMessages({ scene, port }: ClusterMesh): Promise<void> {
  const { messages } = await scene.inspect();
  if (messages > 3) return;
  const body = JSON.stringify({ key: randomUUID(), value: 1 });
  await send(`http://127.0.0.1:${port}/increment`, { method: 'POST', body });
}
