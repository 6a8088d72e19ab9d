import t from 'tap';
import { describeDeadLetters } from '../../../counter/flush/describe-dead-letters.ts';

void t.test('the dead letters of a flush are one line with the reasons and the first', (t) => {
  t.equal(
    describeDeadLetters([
      { reasons: { late: 1, 'bad-key': 1 }, firstDeadLetter: 21 },
      { reasons: {} },
      { reasons: { 'bad-key': 1 }, firstDeadLetter: 17 },
    ]),
    '3 dead letters (2 bad-key, 1 late), which are not counted; the first is of message 17 of the stream: ' +
      '`npm run mesh -- dead-letters list` shows what and why',
  );
  t.match(
    describeDeadLetters([{ reasons: { late: 1 }, firstDeadLetter: 3 }]),
    /^1 dead letter \(1 late\), which is not counted; the first is of message 3 of/,
  );
  t.equal(describeDeadLetters([{ reasons: {} }]), undefined);
  t.end();
});
