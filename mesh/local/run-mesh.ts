import { styleText } from 'node:util';
import { ProvisionError } from '../../nats/provision.ts';
import { ReplicasBehind } from '../../nats/replicas.ts';
import { NoLeader } from '../../nats/retry-while-leaderless.ts';
import { PreflightFailed } from '../../schema/database/preflight-failed.ts';
import { LaterSchema } from '../../schema/database/schema-version.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';
import { findMistypedNames } from '../../schema/settings/mistyped-names.ts';
import { StartError } from '../servers/start-error.ts';
import { writeClientFiles } from './client-files.ts';
import { MeshSettings, readMeshSettings } from './config.ts';
import { formatTime } from './format-log-entry.ts';
import { createMesh, type Mesh } from './mesh.ts';
import { readyMessage } from './ready-message.ts';
import { restartOnChange } from './restart-on-change.ts';
import { onStopSignals } from './stop-signals.ts';
import { unlessDiskFails } from './unless-disk-fails.ts';

/**
 * What `npm start` does: runs a whole mesh until a signal stops it and ends this process. Resolves when
 * everything serves.
 */
export async function runMesh(
  environment: NodeJS.ProcessEnv,
  options = { restartsOnChange: false },
): Promise<void> {
  // The terminal may be closed while the mesh stops.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  try {
    const settings = readMeshSettings(environment);
    for (const line of findMistypedNames(MeshSettings, environment)) say(line);
    const mesh = createMesh(settings, { environment, say });
    await run(mesh, { ...options, keysFile: environment.API_KEYS_FILE });
  } catch (error) {
    explain(error);
    process.exit(1);
  }
}

async function run(
  mesh: Mesh,
  options: { restartsOnChange: boolean; keysFile: string | undefined },
): Promise<void> {
  let exitCode = 0;
  let isStopping = false;
  onStopSignals(
    () => void stop(),
    () => void stopAtOnce(),
  );
  process.on('uncaughtException', (error) => {
    explain(error);
    exitCode = 1;
    void stop();
  });

  try {
    const running = await mesh.start();
    const what = running.describe();
    const write = () => writeClientFiles(running.dataFolder, what);
    unlessDiskFails('the files for psql and the nats CLI', write, say)();
    console.log(readyMessage(what, running.dataFolder.path, options));
    if (options.restartsOnChange) restartOnChange(running, say);
  } catch (error) {
    // A start that a stop interrupts fails; that needs no message.
    if (isStopping) return;
    isStopping = true;
    explain(error);
    await mesh.stop();
    process.exit(1);
  }

  async function stop(): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    say('stopping: gateways drain, counter services commit, then broker and database stop');
    await mesh.stop();
    say('stopped');
    process.exit(exitCode);
  }

  async function stopAtOnce(): Promise<void> {
    say('stopping at once: no accepted increment is lost, the next start counts the rest');
    await mesh.stopAtOnce();
    process.exit(exitCode);
  }
}

/** With the time, for whoever comes back to the terminal. */
function say(line: string): void {
  console.log(`${head('dim')} ${line}`);
}

function head(color: 'dim' | 'red'): string {
  return `${styleText('dim', formatTime(Date.now()).slice(11, 19))} ${styleText(color, 'mesh')}`;
}

/** What the user can change is a message; anything else is a bug, shown with its stack. */
function explain(error: unknown): void {
  const kinds = [
    StartError,
    ConfigurationError,
    ProvisionError,
    LaterSchema,
    PreflightFailed,
    NoLeader,
    ReplicasBehind,
  ];
  const isExpected = kinds.some((kind) => error instanceof kind);
  const { message, stack } = error as Error;
  console.error(head('red'), isExpected ? message : (stack ?? String(error)));
}
