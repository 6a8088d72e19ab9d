import t from 'tap';
import {
  compareSettings,
  findConsumerStop,
  CONSUMER_NEEDS,
  describeFault,
  STREAM_NEEDS,
  type NeededSetting,
} from '../../nats/settings.ts';

const STREAM = {
  storage: 'file',
  retention: 'workqueue',
  subjects: ['increments.>'],
  discard: 'new',
  deny_delete: true,
};
const CONSUMER = {
  ack_policy: 'explicit',
  deliver_policy: 'all',
  replay_policy: 'instant',
  max_ack_pending: 100_000,
};
const NOW = Date.parse('2026-01-01T00:00:00Z');

void t.test('every way to say that there is none is the same', (t) => {
  const nones = [
    {},
    { max_msgs: -1, max_age: 0, sealed: false, no_ack: false, sources: [], mirror: null },
    { persist_mode: 'default', consumer_limits: {}, republish: undefined },
  ];
  for (const none of nones) {
    t.strictSame(compareSettings('x', STREAM_NEEDS, { ...STREAM, ...none }, NOW), []);
  }
  const idle = { max_deliver: -1, backoff: [], filter_subject: '', priority_policy: 'none' };
  const over = { pause_until: '2025-01-01T00:00:00Z' };
  t.strictSame(compareSettings('x', CONSUMER_NEEDS, { ...CONSUMER, ...idle, ...over }, NOW), []);
  t.end();
});

/** What an operator may have set, and how it is named. */
const WRONG: [NeededSetting[], Record<string, unknown>, string][] = [
  [STREAM_NEEDS, { max_msgs_per_subject: 100 }, 'max_msgs_per_subject 100'],
  [STREAM_NEEDS, { max_age: 10e9 }, 'max_age 10 s'],
  [STREAM_NEEDS, { no_ack: true }, 'no_ack true'],
  [STREAM_NEEDS, { discard: 'old' }, 'discard old'],
  [STREAM_NEEDS, { storage: 'memory' }, 'storage memory'],
  [STREAM_NEEDS, { persist_mode: 'async' }, 'persist_mode async'],
  [STREAM_NEEDS, { sealed: true }, 'sealed true'],
  [STREAM_NEEDS, { subjects: ['increments.>', 'x'] }, 'subjects increments.>, x'],
  [STREAM_NEEDS, { republish: { src: '>', dest: 'x.>' } }, 'republish {"src":">","dest":"x.>"}'],
  [STREAM_NEEDS, { deny_delete: false }, 'deny_delete none'],
  [CONSUMER_NEEDS, { deliver_subject: 'x' }, 'deliver_subject x'],
  [CONSUMER_NEEDS, { filter_subject: 'x' }, 'filter_subject x'],
  [CONSUMER_NEEDS, { max_batch: 1 }, 'max_batch 1'],
  [CONSUMER_NEEDS, { max_deliver: 3 }, 'max_deliver 3'],
  [CONSUMER_NEEDS, { backoff: [1e9] }, 'backoff 1000000000'],
];

void t.test('a consumer that is paused or not there is named as such', (t) => {
  const findStop = (pause_until: string) =>
    findConsumerStop(
      compareSettings('the consumer counter', CONSUMER_NEEDS, { ...CONSUMER, pause_until }, NOW),
    );
  t.strictSame(findStop('2027-01-01T00:00:00Z'), {
    kind: 'consumer-paused',
    text: 'The consumer counter is paused until 2027-01-01T00:00:00Z, so nothing is counted: `npm run provision` resumes it',
  });
  t.equal(findStop('2025-01-01T00:00:00Z'), undefined, 'the pause is over');
  t.match(findConsumerStop(undefined), {
    kind: 'consumer-gone',
    text: /^The consumer counter is not there, so nothing is counted/,
  });
  t.end();
});

void t.test('a setting that breaks a promise is named, with what it must be and why', (t) => {
  for (const [needs, wrong, named] of WRONG) {
    const right = needs === STREAM_NEEDS ? STREAM : CONSUMER;
    const faults = compareSettings('the stream', needs, { ...right, ...wrong }, NOW);
    t.equal(faults.length, 1, named);
    const text = describeFault(faults[0]!);
    t.ok(text.startsWith(`The stream has ${named} and must have `), text);
    t.match(text, /so that .+: .*npm run provision/);
  }
  t.end();
});
