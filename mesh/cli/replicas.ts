import { isRefusal } from '../../nats/error-codes.ts';
import { isCurrent, type Replicas } from '../../nats/replica-state.ts';
import {
  describeServer,
  lookAtReplicas,
  setReplicas,
  untilReplicasCurrent,
} from '../../nats/replicas.ts';
import { EXIT, type Command } from './command.ts';
import { Refusal, UsageError } from './errors.ts';
import { formatTable } from './table.ts';

/** Enough for a new server to copy a full stream. */
const CATCH_UP_MS_MAX = 30 * 60_000;

/** `replicas` */
export const replicas: Command = {
  name: 'replicas',
  synopsis: '[1|3]',
  summary: 'Shows or changes how many servers keep each message',
  help: `
With a number it changes both streams and the consumer, and waits until every server has all of
them: only then is the loss of one harmless. It can be interrupted and repeated. For about ten
seconds the stream has no leader; requests wait, and are answered if the PUBLISH_DEADLINE_MS of the
gateways is longer (12 s in a cluster). The NATS cluster needs as many servers.

Without a number it exits with 1 if a replica is not current, and names the server.

Set the same number where the mesh is started: NATS_NODES or REPLICAS for npm start, REPLICAS in
compose.yaml.`,
  words: { min: 0, max: 1 },
  run: async ({ servers, words: [word], terminal, print }) => {
    if (word === undefined) {
      const found = await lookAtReplicas(await servers.manager('inspector'));
      print(found, () => asText(found));
      return found.every(isCurrent) ? EXIT.fine : EXIT.bad;
    }
    if (word !== '1' && word !== '3') throw new UsageError('replicas takes 1 or 3');
    const manager = await servers.manager('provisioner');
    await setReplicas(manager, Number(word)).catch(explain);
    const done = await untilReplicasCurrent(manager, {
      timeoutMs: CATCH_UP_MS_MAX,
      onWait: (found) => terminal.writeError(`${asText(found)}\n\n`),
    });
    print(done, () => `${asText(done)}\n\nEvery replica is current.`);
    return EXIT.fine;
  },
};

function explain(error: unknown): never {
  if (isRefusal(error, 'too-few-servers')) {
    throw new Refusal(
      `NATS has too few servers (${error.message}): each replica needs a server of its own in the ` +
        'cluster; nothing was changed',
    );
  }
  throw error;
}

function asText(found: Replicas[]): string {
  const rows = found.map(({ of, wanted, current, behind }) => [
    of,
    `${current} of ${wanted} current`,
    behind.map(describeServer).join(', '),
  ]);
  return formatTable(rows);
}
