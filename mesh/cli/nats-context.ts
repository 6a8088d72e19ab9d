import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from '../../nats/streams.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { NATS_CONTEXT_DESCRIPTION, natsContext } from '../local/client-files.ts';
import { EXIT, type Command } from './command.ts';
import { Refusal, UsageError } from './errors.ts';

const NAME = 'increment-mesh';
const EXAMPLES = {
  inspector: `stream info ${INCREMENTS}`,
  provisioner: `stream info ${INCREMENTS}`,
  operator: 'server ls',
};

/** `nats-context` */
export const natsContextCommand: Command = {
  name: 'nats-context',
  synopsis: '[--role ROLE] [--name NAME] [--force]',
  summary: 'Writes a context for the nats CLI',
  help: `
It is written where the nats CLI looks for it: $XDG_CONFIG_HOME/nats/context, or
~/.config/nats/context. It has a password, so only you can read it.

  --role ROLE   inspector, who reads streams, consumers and services and changes nothing (the default);
                operator, who looks at the brokers: server ls, info, report;
                provisioner, who can change and delete the streams
  --name NAME   the name of the context, instead of ${NAME} (of another role: ${NAME}-ROLE)
  --force       replaces a context of that name that this command did not make

Then, for example

  nats --context ${NAME} stream info ${INCREMENTS}
  nats --context ${NAME} consumer info ${INCREMENTS} ${COUNTER}
  nats --context ${NAME} stream view ${INCREMENTS}
  nats --context ${NAME} stream get ${INCREMENTS_DEAD} 1
  nats --context ${NAME} micro ls
  nats --context ${NAME} micro stats counter`,
  options: {
    role: { type: 'string' },
    name: { type: 'string' },
    force: { type: 'boolean' },
  },
  run: ({ servers, options, terminal, print }) => {
    const role = readRole(options.role);
    const name = String(options.name ?? (role === 'inspector' ? NAME : `${NAME}-${role}`));
    if (!/^[\w-]{1,64}$/.test(name)) {
      throw new UsageError('--name must be 1 to 64 letters, digits, dashes or underscores');
    }
    const settings = terminal.environment.XDG_CONFIG_HOME || join(homedir(), '.config');
    const folder = join(settings, 'nats/context');
    const path = join(folder, `${name}.json`);
    if (options.force !== true) refuseToReplace(path, name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { nats, natsAccess } = servers.addresses;
    writeFileAtomically(path, natsContext(nats(role), role, natsAccess));
    print({ name, path }, () => `Wrote ${path}. Try\n\n  nats --context ${name} ${EXAMPLES[role]}`);
    return EXIT.fine;
  },
};

function readRole(role: unknown = 'inspector'): keyof typeof EXAMPLES {
  if (role === 'inspector' || role === 'provisioner' || role === 'operator') return role;
  throw new UsageError('--role must be inspector, provisioner or operator');
}

function refuseToReplace(path: string, name: string): void {
  if (!existsSync(path) || readFileSync(path, 'utf8').includes(NATS_CONTEXT_DESCRIPTION)) return;
  throw new Refusal(
    `${path} exists and was not made by this command: give another --name than ${name}, or replace ` +
      'it with --force',
  );
}
