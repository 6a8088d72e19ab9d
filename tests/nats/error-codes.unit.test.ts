import t from 'tap';
import { judgePublishError } from '../../nats/error-codes.ts';

/** As nats-server 2.15 writes them. */
const CASES: [number, string, ReturnType<typeof judgePublishError>][] = [
  [10077, 'maximum bytes exceeded', { failure: 'full', isNothingStored: true }],
  [10077, 'maximum messages exceeded', { failure: 'full', isNothingStored: true }],
  [10077, 'maximum messages per subject exceeded', { failure: 'full', isNothingStored: true }],
  [10047, 'insufficient storage resources available', { failure: 'full', isNothingStored: true }],
  [10023, 'insufficient resources', { failure: 'full', isNothingStored: true }],
  [10002, 'resource limits exceeded for account', { failure: 'full', isNothingStored: true }],
  [10109, 'invalid operation on sealed stream', { failure: 'refused', isNothingStored: true }],
  [10059, 'stream not found', { failure: 'refused', isNothingStored: true }],
  [10039, 'JetStream not enabled for account', { failure: 'refused', isNothingStored: true }],
  [10076, 'JetStream not enabled', { failure: 'refused', isNothingStored: true }],
  [10035, 'account not found', { failure: 'refused', isNothingStored: true }],
  [10054, 'message size exceeds maximum allowed', { failure: 'refused', isNothingStored: true }],
  [
    10077,
    'write /store/1.blk: no space left on device',
    { failure: 'failed', isNothingStored: false },
  ],
  [10077, 'sync /store/1.blk: input/output error', { failure: 'failed', isNothingStored: false }],
  [10008, 'JetStream system temporarily unavailable', { failure: 'away', isNothingStored: false }],
  [1, 'what a later server answers', { failure: 'away', isNothingStored: false }],
];

for (const [code, description, judged] of CASES) {
  void t.test(`${code} ${description}: ${judged.failure}`, (t) => {
    t.strictSame(judgePublishError({ err_code: code, description }), judged);
    t.end();
  });
}
