import t from 'tap';
import { mayPurge, type PurgeSituation } from '../../../counter/settle/may-purge.ts';

const LIMITS = { redeliveryMs: 11_000, postponedMsMax: 24_000 };

/** Settled through 100, with a hole at 101 that was stored long ago and not delivered here. */
const HOLE: PurgeSituation = {
  floor: 100,
  deliveredThrough: 200,
  oldestAgeMs: 60_000,
  recentSequence: 150,
  postponedMs: 0,
};
const may = (situation: Partial<PurgeSituation> = {}) =>
  mayPurge({ ...HOLE, ...situation }, LIMITS);

void t.test('nothing is purged while messages of a dead counter may come again', (t) => {
  t.notOk(may());
  t.notOk(may({ recentSequence: undefined }), 'nor where none came to this one');
  t.notOk(may({ recentSequence: 101 }), 'nor where the hole itself came, and was lost since');
  t.notOk(may({ oldestAgeMs: 11_000, postponedMs: 23_999 }));
  t.end();
});

void t.test('all is purged where nothing was delivered that is not settled', (t) => {
  t.ok(may({ deliveredThrough: 100 }));
  t.ok(may({ deliveredThrough: 0 }), 'by a broker that has forgotten its deliveries, too');
  t.notOk(may({ deliveredThrough: 101 }));
  t.end();
});

void t.test('counters that live purge without a pause, young messages and a backlog', (t) => {
  t.ok(may({ oldestAgeMs: 10_999 }), 'no message is old enough to come again');
  t.ok(may({ recentSequence: 100 }), 'the hole was delivered after one that came a moment ago');
  t.end();
});

void t.test('purges are postponed for a limited time', (t) => {
  t.ok(may({ postponedMs: 24_000 }));
  t.end();
});
