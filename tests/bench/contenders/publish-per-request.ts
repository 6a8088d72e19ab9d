import { randomUUIDv7 } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { connectToNats } from '../../../nats/connect.ts';
import { HTTP_SUBJECT } from '../../../nats/streams.ts';
import { encodeEnvelope, encodeIncrement } from '../../../schema/message/envelope.ts';
import { serve } from './front.ts';

/** The mesh without group commit: a message for each increment, on the same stream. */
const connection = await connectToNats({ url: process.env['NATS_URL'] ?? '', role: 'gateway' });
const client = jetstream(connection);

await serve(async ({ key, value }) => {
  const id = randomUUIDv7();
  const body = encodeEnvelope(id, [encodeIncrement({ key, value })]);
  const { seq } = await client.publish(HTTP_SUBJECT, body, { msgID: id });
  return { accepted: 1, id, sequence: seq };
});
