import t from 'tap';
import { waitPatiently } from '../../../mesh/local/wait-patiently.ts';

void t.test('a gateway that says what it waits for is left to wait', async (t) => {
  let now = 0;
  let isReady = false;
  let reason: string | undefined = 'the broker does not answer';
  const said: string[] = [];
  const mayGoOn = waitPatiently({
    name: 'gateway-1',
    isReady: () => Promise.resolve(isReady),
    readWait: () => Promise.resolve(reason),
    say: (line) => said.push(line),
    readTimeMs: () => now,
  });
  t.equal(await mayGoOn(), false);
  now = 19_999;
  t.equal(await mayGoOn(), false, 'it may become ready');
  t.strictSame(said, []);
  now = 20_000;
  t.equal(await mayGoOn(), true);
  t.strictSame(said, ['gateway-1 runs and is not ready: the broker does not answer']);
  reason = undefined;
  t.equal(await mayGoOn(), false, 'one that says nothing is broken');
  isReady = true;
  t.equal(await mayGoOn(), true);
});
