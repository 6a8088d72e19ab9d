import { Type } from 'typebox';

/** For every configuration that names a broker which may not be the mesh's own. */
export const NatsSyncSetting = {
  NATS_SYNC: Type.Optional(
    Type.Literal('always', {
      description:
        '`always` states that the brokers run with `sync_interval: always`, which they tell no service',
    }),
  ),
};

/** A sentence without its end: the promise that nobody has stated, and what to do. */
export const UNSTATED_SYNC =
  'Whether the brokers sync each message to disk is not stated, and they tell it no service: an increment ' +
  'that was answered 200 may be lost in a power cut of theirs. Set `jetstream { sync_interval: always }` in ' +
  'their configuration, then NATS_SYNC=always in that of the mesh';
