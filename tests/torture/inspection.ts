import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { natsUrlOf, type MeshFile } from '../../mesh/local/mesh-file.ts';
import { connectToNats } from '../../nats/connect.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { openDatabase } from '../../schema/database/database.ts';
import type { Database } from '../../schema/database/tables.ts';

/** What the judge must see of a mesh. */
export interface Inspection {
  database: Kysely<Database>;
  inspector: JetStreamManager;
  inspect: () => Promise<{ messages: number; ackPending: number }>;
}

/** What a judge sees of a mesh that `npm start` runs; it keeps its addresses from start to start. */
export async function openInspection(
  file: MeshFile,
  endings: (() => unknown)[],
): Promise<Inspection> {
  const database = openDatabase(file.postgres.url, {
    name: 'torture',
    connectionsMax: 2,
    queryTimeoutMs: 10_000,
    onBrokenConnection: () => undefined,
  });
  const connection = await connectToNats({ url: natsUrlOf(file), role: 'inspector' });
  endings.push(
    () => database.destroy(),
    () => connection.close(),
  );
  const inspector = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
  const inspect = async () => {
    const { state } = await inspector.streams.info(INCREMENTS);
    const { num_ack_pending: ackPending } = await inspector.consumers.info(INCREMENTS, COUNTER);
    return { messages: state.messages, ackPending };
  };
  return { database, inspector, inspect };
}
