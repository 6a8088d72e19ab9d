import type { JetStreamManager } from '@nats-io/jetstream';
import { INCREMENTS_DEAD } from '../../../nats/streams.ts';
import { EXIT, type Command, type CommandContext } from '../command.ts';
import { confirm } from '../confirm.ts';
import { UsageError } from '../errors.ts';
import { plural } from '../../../telemetry/quantities.ts';
import { readDeadLetter, readSequence } from './read-dead-letter.ts';

/** `dead-letters purge` */
export const purgeDeadLetters: Command = {
  name: 'dead-letters purge',
  synopsis: 'SEQ… | --all [--yes]',
  summary: 'Removes dead letters for good, uncounted',
  help: `
  SEQ…    removes these
  --all   removes all that exist when it asks; later ones stay
  --yes   does not ask; for scripts`,
  options: { all: { type: 'boolean' }, yes: { type: 'boolean' } },
  words: { min: 0, max: 1_000 },
  run: async (context) => {
    const { servers, words, options, print } = context;
    if ((options.all === true) === words.length > 0) {
      throw new UsageError('dead-letters purge needs the numbers of dead letters, or --all');
    }
    const sequences = words.map(readSequence);
    const manager = await servers.manager('provisioner');
    const purged =
      options.all === true
        ? await purgeAll(manager, context)
        : await purgeSome(manager, sequences, context);
    print({ purged }, () =>
      purged === 0 ? 'Nothing was removed.' : `${plural(purged, 'dead letter')} removed.`,
    );
    return purged === 0 && words.length > 0 ? EXIT.bad : EXIT.fine;
  },
};

async function purgeAll(manager: JetStreamManager, context: CommandContext): Promise<number> {
  const { state } = await manager.streams.info(INCREMENTS_DEAD);
  if (state.messages === 0) return 0;
  const question = `This removes ${plural(state.messages, 'dead letter')}. It can't be undone.`;
  if (!(await confirm(question, context))) return 0;
  const { purged } = await manager.streams.purge(INCREMENTS_DEAD, { seq: state.last_seq + 1 });
  return purged;
}

async function purgeSome(
  manager: JetStreamManager,
  sequences: number[],
  context: CommandContext,
): Promise<number> {
  // All must exist before any is removed.
  for (const sequence of sequences) await readDeadLetter(manager, sequence);
  const question = `This removes ${plural(sequences.length, 'dead letter')}. It can't be undone.`;
  if (!(await confirm(question, context))) return 0;
  for (const sequence of sequences) {
    await manager.streams.deleteMessage(INCREMENTS_DEAD, sequence, false);
  }
  return sequences.length;
}
