import { COUNTER_MUTATIONS } from './counter-mutations.ts';
import { FLUSH_MUTATIONS } from './flush-mutations.ts';
import { GATEWAY_MUTATIONS } from './gateway-mutations.ts';
import type { Mutation } from './mutation.ts';
import { NATS_MUTATIONS } from './nats-mutations.ts';
import { OPERATING_MUTATIONS } from './operating-mutations.ts';
import { OTHER_MUTATIONS } from './other-mutations.ts';
import { TORTURE_MUTATIONS } from './torture-mutations.ts';

/** On the way of an increment. */
export const MUTATIONS: Mutation[] = [
  ...GATEWAY_MUTATIONS,
  ...NATS_MUTATIONS,
  ...COUNTER_MUTATIONS,
  ...FLUSH_MUTATIONS,
  ...OTHER_MUTATIONS,
  ...OPERATING_MUTATIONS,
  ...TORTURE_MUTATIONS,
];
