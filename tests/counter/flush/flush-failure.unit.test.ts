import pg from 'pg';
import t from 'tap';
import { FlushConflict } from '../../../counter/flush/flush-conflict.ts';
import { consequenceOf, type Consequence } from '../../../counter/flush/flush-failure.ts';
import { StoresDisagree } from '../../../counter/settle/compare-stores.ts';

function sqlError(code: string, routine?: string): Error {
  const error = new pg.DatabaseError('refused', 0, 'error');
  error.code = code;
  error.routine = routine;
  return error;
}

const FIRST = { attempt: 0, isTimeUp: false };
const LATER = { attempt: 3, isTimeUp: false };
const LAST = { attempt: 9, isTimeUp: true };

/** Of the first attempt, of a later one, and of one at which the time is up. */
const CASES: [string, Error, [Consequence, Consequence, Consequence]][] = [
  ['the connection is lost', new Error('ended unexpectedly'), ['retry', 'retry', 'give-up']],
  ['a lock is not free', sqlError('55P03'), ['retry', 'retry', 'give-up']],
  ['a deadlock', sqlError('40P01'), ['retry', 'retry', 'give-up']],
  ['a lost session', sqlError('57P01'), ['retry', 'retry', 'give-up']],
  ['a full disk', sqlError('53100'), ['retry', 'retry', 'give-up']],
  ['a database that is read-only', sqlError('25006'), ['retry', 'retry', 'give-up']],
  ['a standby', sqlError('0A000', 'call_bool_check_hook'), ['retry', 'retry', 'give-up']],
  ['a statement that takes too long', sqlError('57014'), ['retry', 'halve', 'halve']],
  ['a transaction that takes too long', sqlError('25P04'), ['retry', 'halve', 'halve']],
  ['a value is out of range', sqlError('22003'), ['separate', 'separate', 'separate']],
  ['a constraint', sqlError('23514'), ['separate', 'separate', 'separate']],
  ['what a trigger raises', sqlError('P0001'), ['retry', 'separate', 'separate']],
  ['a policy', sqlError('42501'), ['retry', 'separate', 'separate']],
  ['what an extension raises', sqlError('XX000'), ['retry', 'separate', 'separate']],
  ['a code that nobody knows', sqlError('ZZ123'), ['retry', 'separate', 'separate']],
  ['a fault of ours', new RangeError('too deep'), ['retry', 'separate', 'separate']],
  [
    'a tally that is split',
    new FlushConflict('tally-split'),
    ['redeliver', 'redeliver', 'redeliver'],
  ],
  [
    'the stores disagree',
    new StoresDisagree('stream-went-back', 'restored'),
    ['hold', 'hold', 'hold'],
  ],
];

void t.test('what follows a flush that failed', (t) => {
  for (const [name, error, expected] of CASES) {
    const found = [FIRST, LATER, LAST].map((failed) => consequenceOf(error, failed));
    t.strictSame(found, expected, name);
  }
  t.end();
});
