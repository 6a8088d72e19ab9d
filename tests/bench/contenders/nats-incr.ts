import { jetstream } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import { serve } from './front.ts';

/** NATS' own counters (ADR-49): a subject for each key, a message for each increment. */
const connection = await connect({ servers: process.env['NATS_URL'] ?? '', noAsyncTraces: true });
const client = jetstream(connection);
const id = '019a0000-0000-7000-8000-000000000000';

await serve(async ({ key, value }) => {
  const increment = headers();
  increment.set('Nats-Incr', String(value));
  const { seq } = await client.publish(`counts.${key}`, '', { headers: increment });
  return { accepted: 1, id, sequence: seq };
});
