import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { NATS_CONTEXT_DESCRIPTION, natsContext } from '../local/client-files.ts';
import { EXIT, type Command } from './command.ts';
import { Refusal, UsageError } from './errors.ts';

const NAME = 'increment-mesh';

/** `nats-context` */
export const natsContextCommand: Command = {
  name: 'nats-context',
  synopsis: '[--name NAME] [--force]',
  summary: 'Writes a context for the nats CLI',
  help: `
It connects as the inspector, who reads streams, consumers and services and changes nothing. It is
written where the nats CLI looks for it: $XDG_CONFIG_HOME/nats/context, or ~/.config/nats/context. It
has a password, so only you can read it.

  --name NAME   the name of the context, instead of ${NAME}
  --force       replaces a context of that name that this command did not make

Then, for example

  nats --context ${NAME} stream info INCREMENTS
  nats --context ${NAME} consumer info INCREMENTS counter
  nats --context ${NAME} stream view INCREMENTS_DEAD
  nats --context ${NAME} micro ls
  nats --context ${NAME} micro stats counter`,
  options: { name: { type: 'string' }, force: { type: 'boolean' } },
  run: ({ servers, options, terminal, print }) => {
    const name = String(options.name ?? NAME);
    if (!/^[\w-]{1,64}$/.test(name)) {
      throw new UsageError('--name must be 1 to 64 letters, digits, dashes or underscores');
    }
    const settings = terminal.environment.XDG_CONFIG_HOME || join(homedir(), '.config');
    const folder = join(settings, 'nats/context');
    const path = join(folder, `${name}.json`);
    if (options.force !== true) refuseToReplace(path, name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { nats, natsTls } = servers.addresses;
    writeFileAtomically(path, natsContext(nats('inspector'), natsTls));
    print(
      { name, path },
      () => `Wrote ${path}. Try\n\n  nats --context ${name} stream info INCREMENTS`,
    );
    return EXIT.fine;
  },
};

function refuseToReplace(path: string, name: string): void {
  if (!existsSync(path) || readFileSync(path, 'utf8').includes(NATS_CONTEXT_DESCRIPTION)) return;
  throw new Refusal(
    `${path} exists and was not made by this command: give another --name than ${name}, or replace ` +
      'it with --force',
  );
}
