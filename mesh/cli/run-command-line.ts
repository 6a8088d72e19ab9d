import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';
import { DatabaseError } from 'pg';
import { Type } from 'typebox';
import { judgeNatsAccess, natsAccess, NatsAccessSettings } from '../../nats/access-settings.ts';
import { findDenial, PERMISSIONS_PAGE } from '../../nats/denials.ts';
import { ReplicasBehind } from '../../nats/replicas.ts';
import { NoLeader } from '../../nats/retry-while-leaderless.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { ConfigurationError, readEnvironment } from '../../schema/settings/environment.ts';
import { findMistypedNames } from '../../schema/settings/mistyped-names.ts';
import { MeshSettings } from '../local/config.ts';
import { findAddresses } from './addresses.ts';
import {
  EXIT,
  type Command,
  type CommandContext,
  type ExitCode,
  type Terminal,
} from './command.ts';
import { COMMANDS } from './commands.ts';
import { NoAnswer, Refusal, UsageError } from './errors.ts';
import { helpOf, overview } from './help.ts';
import { connectServers } from './mesh-servers.ts';
import { readOptions } from './options.ts';
import { stringifySnakeCase } from './snake-case.ts';

const Settings = Type.Object({
  ...Type.Pick(MeshSettings, [
    'DATA_DIR',
    'NATS_URL',
    'STREAM_NAME',
    'DATABASE_URL',
    'DATABASE_SCHEMA',
  ]).properties,
  ...NatsAccessSettings,
});

/** Runs one command. An error is written to the terminal and decides the exit code. */
export async function runCommandLine(args: string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const [first] = args;
    if (first === undefined) {
      terminal.writeError(overview(COMMANDS));
      return EXIT.usage;
    }
    if (['help', '--help', '-h'].includes(first)) return help(args.slice(1), terminal);
    const command = findCommand(args);
    if (command === undefined) return groupHelp(args, terminal);
    return await run(command, args.slice(command.name.split(' ').length), terminal);
  } catch (error) {
    const [message, code] = describe(error);
    terminal.writeError(`mesh: ${message}\n`);
    if (code === EXIT.usage) terminal.writeError('npm run mesh -- help lists the commands\n');
    return code;
  }
}

async function run(command: Command, args: string[], terminal: Terminal): Promise<ExitCode> {
  const { options, words } = readOptions(command, args);
  if (options.help === true) {
    terminal.write(helpOf(command));
    return EXIT.fine;
  }
  const servers = connectServers(findAddresses(readSettings(options, terminal)));
  const print = (answer: unknown, text: () => string) => {
    const json = options.json === true;
    terminal.write(`${json ? stringifySnakeCase(answer) : text()}\n`);
  };
  try {
    return await command.run({ words, options, servers, terminal, print });
  } finally {
    await servers.close();
  }
}

/** The command that the first words name. */
function findCommand(args: string[]): Command | undefined {
  const isMeant = ({ name }: Command) =>
    name.split(' ').every((word, index) => args[index] === word);
  return COMMANDS.find(isMeant);
}

function help(args: string[], terminal: Terminal): ExitCode {
  const command = findCommand(args);
  if (command !== undefined) terminal.write(helpOf(command));
  else if (args.length > 0) return groupHelp(args, terminal);
  else terminal.write(overview(COMMANDS));
  return EXIT.fine;
}

/** `dead-letters` alone, or with `--help`, lists its commands; anything else is unknown. */
function groupHelp(args: string[], terminal: Terminal): ExitCode {
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${args[0]} `));
  if (group.length === 0) throw new UsageError(`there is no command "${args[0]}"`);
  const next = args[1];
  if (next !== undefined && !['--help', '-h'].includes(next))
    throw new UsageError(`there is no command "${args[0]} ${next}"`);
  if (next === undefined) terminal.writeError(overview(group));
  else terminal.write(overview(group));
  return next === undefined ? EXIT.usage : EXIT.fine;
}

/** Options override the environment. */
function readSettings(options: CommandContext['options'], { environment, writeError }: Terminal) {
  const settings = readEnvironment(Settings, {
    ...environment,
    ...(options['nats-url'] !== undefined && { NATS_URL: String(options['nats-url']) }),
    ...(options['database-url'] !== undefined && { DATABASE_URL: String(options['database-url']) }),
  });
  for (const line of findMistypedNames(Settings, environment)) writeError(`mesh: ${line}\n`);
  const { DATA_DIR: dataDir, NATS_URL: natsUrl, DATABASE_URL: databaseUrl } = settings;
  const { DATABASE_SCHEMA: databaseSchema, STREAM_NAME: streamName } = settings;
  // A running mesh has its own, which were looked at when it started.
  const { problems } =
    natsUrl === undefined
      ? { problems: [] }
      : judgeNatsAccess(settings, { url: natsUrl, roles: ['inspector'] });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    dataDir,
    natsUrl,
    natsAccess: natsAccess(settings),
    streamName,
    databaseUrl,
    databaseSchema,
  };
}

/** What the user can change is one sentence; anything else is a bug, shown with its stack. */
function describe(error: unknown): [string, ExitCode] {
  if (error instanceof UsageError || error instanceof ConfigurationError)
    return [error.message, EXIT.usage];
  if (error instanceof Refusal) return [error.message, EXIT.bad];
  if (error instanceof ReplicasBehind) return [error.message, EXIT.bad];
  if (error instanceof NoAnswer || error instanceof NoLeader) return [error.message, EXIT.noAnswer];
  const denied = findDenial(error);
  if (denied !== undefined) {
    const what = `the NATS user may not ${denied.operation === 'publish' ? 'send to' : 'read'}`;
    return [
      `${what} ${denied.subject}: give the URL of another role with --nats-url, or this user what the role needs (${PERMISSIONS_PAGE})`,
      EXIT.noAnswer,
    ];
  }
  const unheard = findUnheardSubject(error);
  if (unheard !== undefined) {
    const line =
      `nobody on the broker answers ${unheard}: either this NATS user may not ask, and another ` +
      'role’s URL is needed (--nats-url), or the broker has no JetStream';
    return [line, EXIT.noAnswer];
  }
  if (error instanceof JetStreamApiError) return [`NATS refuses: ${error.message}`, EXIT.noAnswer];
  if (error instanceof errors.TimeoutError || error instanceof errors.RequestError)
    return [`the broker does not answer: ${error.message}`, EXIT.noAnswer];
  if (error instanceof DatabaseError)
    return [`PostgreSQL refuses: ${describeDatabaseError(error)}`, EXIT.noAnswer];
  return [error instanceof Error ? (error.stack ?? error.message) : String(error), EXIT.noAnswer];
}

/** The client reports it as a server without JetStream. */
function findUnheardSubject(error: unknown): string | undefined {
  // Its class is not exported.
  if (!(error instanceof Error) || error.constructor.name !== 'JetStreamNotEnabled')
    return undefined;
  const subject = /'(.*)'/.exec((error.cause as Error | undefined)?.message ?? '')?.[1];
  return subject ?? 'requests to JetStream';
}
