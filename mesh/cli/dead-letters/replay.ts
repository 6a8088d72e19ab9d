import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import {
  incarnationOf,
  INCREMENTS,
  INCREMENTS_DEAD,
  REPLAY_SUBJECT,
} from '../../../nats/streams.ts';
import { mintId } from '../../../schema/message/message-id.ts';
import { readBrokerTime } from '../broker-time.ts';
import { EXIT, type Command, type Terminal } from '../command.ts';
import { NoAnswer, UsageError } from '../errors.ts';
import { formatCount, plural } from '../../../telemetry/quantities.ts';
import { prepareReplay, type Replay } from './prepare-replay.ts';
import { readDeadLetter, readSequence } from './read-dead-letter.ts';

const PUBLISH_TIMEOUT_MS = 5_000;

/** `dead-letters replay` */
export const replayDeadLetter: Command = {
  name: 'dead-letters replay',
  synopsis: 'SEQ [--payload FILE] [--dry-run]',
  summary: 'Counts a dead letter, as it is or repaired',
  help: `
Its increments are sent again under the subject ${REPLAY_SUBJECT}, and the dead letter is removed
once the stream has them on disk. They are counted within ten seconds.

  --payload FILE   sends the repaired payload in this file (- is standard input) instead of
                   its own: a whole message, one increment {"key":…,"value":…}, or an array
  --dry-run        only checks, and shows what would be sent

A payload that would become a dead letter again is refused, with every reason.

Replaying twice counts once: a replay has an idempotency key that is made from the dead letter. If
you are not sure that one was stored, run it again. The key is known for 24 hours (the
IDEMPOTENCY_KEY_KEPT_MS of the counter services). After that only the removal of the dead letter
protects, so do not send a copy of it by hand. A second replay with another payload is not counted,
and becomes a dead letter.

Check first whether the sender has sent it again already: the Idempotency-Key of the original
request does not cover its replay.`,
  options: { payload: { type: 'string' }, 'dry-run': { type: 'boolean' } },
  words: { min: 1, max: 1 },
  run: async ({ servers, words, options, terminal, print }) => {
    const sequence = readSequence(words[0]);
    const repaired =
      options.payload === undefined ? undefined : await readFile(String(options.payload), terminal);
    const isDry = options['dry-run'] === true;
    const manager = await servers.manager('provisioner');

    const deadLetter = await readDeadLetter(manager, sequence);
    const replay = prepareReplay(repaired ?? deadLetter.payload, {
      // Counter services refuse an id whose time is far from the broker's.
      id: mintId(await readBrokerTime(manager)),
      idempotencyKey: await makeIdempotencyKey(manager, sequence),
    });
    const what = `${plural(replay.increments, 'increment')} (sum ${formatCount(replay.total)})`;
    if (isDry) {
      print(
        { deadLetter: sequence, dryRun: true, ...replay },
        () => `Would send ${what}:\n${replay.body}`,
      );
      return EXIT.fine;
    }
    const stored = await publish(await servers.nats('provisioner'), replay);
    await manager.streams.deleteMessage(INCREMENTS_DEAD, sequence, false);
    const { id, increments, total } = replay;
    print(
      { deadLetter: sequence, dryRun: false, id, sequence: stored, increments, total },
      () => `Sent ${what} as message ${stored}. Dead letter ${sequence} is removed.`,
    );
    return EXIT.fine;
  },
};

/** With the stream's creation, since a stream that is made again counts from 1 again. */
async function makeIdempotencyKey(manager: JetStreamManager, sequence: number): Promise<string> {
  const incarnation = incarnationOf(await manager.streams.info(INCREMENTS_DEAD));
  return `dead-letter/${incarnation}/${sequence}`;
}

async function publish(connection: NatsConnection, replay: Replay): Promise<number> {
  const client = jetstream(connection, { timeout: PUBLISH_TIMEOUT_MS });
  try {
    const { seq } = await client.publish(REPLAY_SUBJECT, replay.body, {
      msgID: replay.id,
      expect: { streamName: INCREMENTS },
    });
    return seq;
  } catch (error) {
    if (!(error instanceof errors.TimeoutError)) throw error;
    throw new NoAnswer(
      'the broker did not acknowledge the replay, which may be stored or not. ' +
        'Run the same command again: it counts once',
      { cause: error },
    );
  }
}

/** Relative to where the user typed the command; npm changes the folder, and says which it was. */
async function readFile(name: string, { environment, readInput }: Terminal): Promise<string> {
  if (name === '-') return readInput();
  try {
    return readFileSync(resolve(environment.INIT_CWD ?? '', name), 'utf8');
  } catch (error) {
    throw new UsageError(`the payload can't be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
