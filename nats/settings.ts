/*
 * Every setting of the streams and the consumer that a promise rests on: the value that it needs, and the
 * promise. Provisioning applies the table and compares what it reads back; counter services and
 * `npm run mesh -- status` compare again while the mesh runs, since anyone with rights may change a setting.
 */
import type { ConsumerConfig, ConsumerInfo, StreamConfig } from '@nats-io/jetstream';
import {
  ACK_PENDING_MAX,
  COUNTER,
  DEAD_SUBJECT_PREFIX,
  INCREMENTS,
  INCREMENTS_DEAD,
  SUBJECTS_PREFIX,
} from './streams.ts';

/** A setting as the server names it. `null` is none: absent, empty, zero, or no limit. */
export interface NeededSetting {
  name: string;
  needs: boolean | number | string | string[] | null;
  /** What is promised by it: "so that …". */
  promise: string;
  /** Accepted increments may be lost without it. */
  isLossy?: true;
  /** The server does not change it, so the stream or the consumer must be made again. */
  isFixed?: true;
  /**
   * Messages that the consumer has passed over because of it stay in the stream, and it comes back to them late
   * or never when the setting is right again: it must be made again.
   */
  isSkipping?: true;
}

/** A setting that is not as it must be. */
export interface SettingFault extends Omit<NeededSetting, 'needs'> {
  /** The stream or the consumer. */
  of: string;
  needs: string;
  found: string;
}

/** The time until which the consumer delivers nothing. */
export const PAUSE = 'pause_until';

const KEPT = 'the stream keeps every accepted increment until it is counted';
const ACCEPTED = 'gateways can store every increment, and know that it is stored';
const OWN = 'the stream has what gateways stored, and nothing else';
const ON_DISK = 'an increment is on disk before its 200';
const DELIVERED = 'counter services get every increment';

export const STREAM_NEEDS: NeededSetting[] = [
  { name: 'storage', needs: 'file', promise: ON_DISK, isLossy: true, isFixed: true },
  { name: 'persist_mode', needs: null, promise: ON_DISK, isLossy: true, isFixed: true },
  { name: 'no_ack', needs: null, promise: ACCEPTED },
  { name: 'retention', needs: 'workqueue', promise: DELIVERED, isFixed: true },
  { name: 'subjects', needs: [`${SUBJECTS_PREFIX}>`], promise: ACCEPTED },
  { name: 'discard', needs: 'new', promise: KEPT, isLossy: true },
  { name: 'discard_new_per_subject', needs: null, promise: ACCEPTED },
  { name: 'max_msgs', needs: null, promise: KEPT, isLossy: true },
  { name: 'max_msgs_per_subject', needs: null, promise: KEPT, isLossy: true },
  { name: 'max_age', needs: null, promise: KEPT, isLossy: true },
  { name: 'allow_msg_ttl', needs: null, promise: KEPT, isFixed: true },
  { name: 'allow_rollup_hdrs', needs: null, promise: KEPT },
  { name: 'deny_delete', needs: true, promise: KEPT },
  { name: 'deny_purge', needs: null, promise: 'what is counted is removed', isFixed: true },
  { name: 'sealed', needs: null, promise: ACCEPTED, isFixed: true },
  { name: 'max_msg_size', needs: null, promise: ACCEPTED },
  { name: 'mirror', needs: null, promise: ACCEPTED, isFixed: true },
  { name: 'sources', needs: null, promise: OWN },
  { name: 'subject_transform', needs: null, promise: OWN },
  { name: 'republish', needs: null, promise: 'nobody else hears increments' },
  { name: 'allow_msg_counter', needs: null, promise: OWN, isFixed: true },
  { name: 'allow_msg_schedules', needs: null, promise: OWN, isFixed: true },
  { name: 'consumer_limits', needs: null, promise: DELIVERED },
];

export const DEAD_LETTERS_NEEDS: NeededSetting[] = [
  { name: 'storage', needs: 'file', promise: 'dead letters are kept', isFixed: true },
  { name: 'retention', needs: 'limits', promise: 'dead letters are kept', isFixed: true },
  {
    name: 'subjects',
    needs: [`${DEAD_SUBJECT_PREFIX}${SUBJECTS_PREFIX}>`],
    promise: 'dead letters can be stored',
  },
  { name: 'no_ack', needs: null, promise: 'dead letters can be stored' },
  { name: 'max_msgs', needs: null, promise: 'dead letters are kept' },
  { name: 'max_msgs_per_subject', needs: null, promise: 'dead letters are kept' },
  { name: 'max_msg_size', needs: null, promise: 'dead letters can be stored' },
  { name: 'sealed', needs: null, promise: 'dead letters can be stored', isFixed: true },
  { name: 'mirror', needs: null, promise: 'dead letters can be stored', isFixed: true },
];

export const CONSUMER_NEEDS: NeededSetting[] = [
  { name: 'ack_policy', needs: 'explicit', promise: 'nothing is removed uncounted', isFixed: true },
  { name: 'deliver_policy', needs: 'all', promise: DELIVERED, isFixed: true },
  { name: 'deliver_subject', needs: null, promise: DELIVERED, isFixed: true },
  { name: 'filter_subject', needs: null, promise: DELIVERED, isSkipping: true },
  { name: 'filter_subjects', needs: null, promise: DELIVERED, isSkipping: true },
  { name: 'max_deliver', needs: null, promise: DELIVERED, isSkipping: true },
  { name: 'max_ack_pending', needs: ACK_PENDING_MAX, promise: DELIVERED },
  { name: 'max_batch', needs: null, promise: DELIVERED },
  { name: 'max_bytes', needs: null, promise: DELIVERED },
  { name: 'max_expires', needs: null, promise: DELIVERED },
  { name: PAUSE, needs: null, promise: DELIVERED },
  { name: 'headers_only', needs: null, promise: DELIVERED, isSkipping: true },
  { name: 'inactive_threshold', needs: null, promise: 'the consumer stays' },
  { name: 'priority_groups', needs: null, promise: DELIVERED },
  { name: 'priority_policy', needs: null, promise: DELIVERED },
  { name: 'rate_limit_bps', needs: null, promise: 'increments are counted within seconds' },
  {
    name: 'replay_policy',
    needs: 'instant',
    promise: 'increments are counted within seconds',
    isFixed: true,
  },
  {
    name: 'backoff',
    needs: null,
    promise: 'a counter service keeps what it holds until its flush',
  },
];

/** Why counter services get nothing, in a sentence without its end. */
export interface ConsumerStop {
  kind: 'consumer-gone' | 'consumer-paused';
  text: string;
}

/** Undefined if they get something. @param faults of the consumer; undefined where it is not there. */
export function findConsumerStop(faults: SettingFault[] | undefined): ConsumerStop | undefined {
  if (faults === undefined) return { kind: 'consumer-gone', text: NO_CONSUMER };
  const pause = faults.find(({ name }) => name === PAUSE);
  return pause === undefined ? undefined : { kind: 'consumer-paused', text: describeFault(pause) };
}

/** Where the server writes -1 for none. */
const UNLIMITED = ['max_msgs', 'max_msgs_per_subject', 'max_msg_size', 'max_deliver'];
/** Texts by which it says that there is none. */
const NONES = ['priority_policy none', 'persist_mode default'];
/** Where a number is of nanoseconds. */
const DURATIONS = ['max_age', 'max_expires', 'inactive_threshold'];

export function findStreamFaults(config: StreamConfig): SettingFault[] {
  return compareSettings(`the stream ${INCREMENTS}`, STREAM_NEEDS, config);
}

export function findDeadLettersFaults(config: StreamConfig): SettingFault[] {
  return compareSettings(`the stream ${INCREMENTS_DEAD}`, DEAD_LETTERS_NEEDS, config);
}

/** @param ackWaitMsMin the shortest ack_wait that leaves time for a flush. */
export function findConsumerFaults(
  { config }: Pick<ConsumerInfo, 'config'>,
  ackWaitMsMin = 0,
): SettingFault[] {
  const of = `the consumer ${COUNTER}`;
  const faults = compareSettings(of, CONSUMER_NEEDS, config);
  const foundMs = (config.ack_wait ?? 0) / 1e6;
  if (foundMs >= ackWaitMsMin) return faults;
  const promise = 'a counter service keeps what it holds until its flush';
  const needs = `at least ${ackWaitMsMin} ms`;
  return [...faults, { of, name: 'ack_wait', needs, found: `${foundMs} ms`, promise }];
}

/** The limits by which the stream drops what was not counted, as `max_age of 10 s`; undefined if none. */
export function findLossyLimits(config: StreamConfig): string | undefined {
  const limits = findStreamFaults(config).filter(({ name }) => name.startsWith('max_'));
  const found = limits.filter(({ isLossy }) => isLossy === true);
  if (found.length === 0) return undefined;
  return found.map((fault) => `${fault.name} of ${fault.found}`).join(' or ');
}

/** Pure: the settings that are not as they must be, in the order of the table. */
export function compareSettings(
  of: string,
  needed: NeededSetting[],
  found: object,
  nowMs = Date.now(),
): SettingFault[] {
  const values = new Map(Object.entries(found));
  return needed.flatMap(({ needs, ...rest }) => {
    const value = valueOf(rest.name, values.get(rest.name), nowMs);
    if (format(value) === format(needs)) return [];
    return [{ ...rest, of, needs: format(needs), found: format(value) }];
  });
}

/** One sentence without its end. */
export const NO_CONSUMER = `The consumer ${COUNTER} is not there, so nothing is counted: \`npm run provision\` makes it`;

/** One sentence without its end: what is set, what must be, and why. */
export function describeFault({ of, name, found, needs, promise, isFixed }: SettingFault): string {
  if (name === PAUSE) {
    return `${capitalize(of)} is paused until ${found}, so nothing is counted: \`npm run provision\` resumes it`;
  }
  const remedy =
    isFixed === true && of !== `the consumer ${COUNTER}`
      ? 'it can only be set when the stream is made: once it is empty, `nats stream rm` and `npm run provision`'
      : '`npm run provision` corrects it';
  return `${capitalize(of)} has ${name} ${found} and must have ${needs}, so that ${promise}: ${remedy}`;
}

/** What provisioning sends, so that no setting of an earlier hand stays. */
export function asConfig(needed: NeededSetting[]): Partial<StreamConfig & ConsumerConfig> {
  const config = needed.map(({ name, needs }) => {
    if (needs !== null) return [name, needs] as const;
    return [name, UNLIMITED.includes(name) ? -1 : undefined] as const;
  });
  return Object.fromEntries(config);
}

/** Null for every way in which the server says that there is none; a pause that is over is none. */
function valueOf(name: string, value: unknown, nowMs: number): unknown {
  if (value === undefined || value === false || value === 0 || value === -1) return null;
  if (typeof value === 'number') return DURATIONS.includes(name) ? `${value / 1e9} s` : value;
  if (typeof value === 'string') {
    if (name === PAUSE) return Date.parse(value) > nowMs ? value : null;
    return NONES.includes(`${name} ${value}`) || value === '' ? null : value;
  }
  if (Array.isArray(value)) return value.length === 0 ? null : value;
  if (typeof value !== 'object' || value === null) return value;
  const isEmpty = Object.values(value).every((each) => valueOf('', each, nowMs) === null);
  return isEmpty ? null : value;
}

function format(value: unknown): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return value.map(format).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
