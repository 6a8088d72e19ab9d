import t from 'tap';
import { isRestartDue } from '../../../mesh/local/restart-dead-stream.ts';

const FAILED = { failedSince: 40_000, fullAt: 42_000, restartedAt: -Infinity };

void t.test('a stream that stays dead although its disk has room is restarted', (t) => {
  t.ok(isRestartDue(FAILED, 43_000));
  t.notOk(isRestartDue({ ...FAILED, failedSince: undefined }, 43_000), 'it stores');
  t.notOk(isRestartDue(FAILED, 42_999), 'it may come back by itself');
  t.notOk(isRestartDue({ ...FAILED, fullAt: 43_000 }, 43_000), 'there is no room yet');
  t.ok(isRestartDue({ ...FAILED, fullAt: 10_000 }, 43_000), 'idle gateways notice it later');
  t.notOk(isRestartDue({ ...FAILED, fullAt: 9_999 }, 43_000), 'the disk was not the cause');
  t.notOk(isRestartDue({ ...FAILED, restartedAt: 14_000 }, 43_000), 'it was restarted just now');
  t.ok(isRestartDue({ ...FAILED, restartedAt: 13_000 }, 43_000));
  t.end();
});
