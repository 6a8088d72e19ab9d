import { randomUUID } from 'node:crypto';
import t from 'tap';
import { untilTotal } from '../support/counters.ts';
import { send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

const BATCHES = 3;
const BATCH_INCREMENTS = 10_000;
const LINE_LENGTH_MAX = 1_000;

await t.test('logs follow an increment and never grow with the keys', async (t) => {
  const servers = await startServers(t);
  const debug = { LOG_LEVEL: 'debug' };
  const gateway = await startGateway(t, servers, debug);
  const counter = await startCounter(t, servers, { ...debug, FLUSH_INTERVAL_MS: '1000' });
  for (let batch = 0; batch < BATCHES; batch++) {
    const increments = Array.from(
      { length: BATCH_INCREMENTS },
      () => `{"key":"${randomUUID()}","value":1}`,
    );
    const { status } = await send(`${gateway.url}/increments`, {
      method: 'POST',
      body: `[${increments.join(',')}]`,
    });
    t.equal(status, 200);
  }
  await untilTotal(servers.database, BATCHES * BATCH_INCREMENTS);
  const flushed = () => counter.log.filter(({ msg }) => msg === 'flushed');
  await until('the flush is logged', flushed, (lines) => lines.length > 0);

  for (const line of [...gateway.log, ...counter.log]) {
    const { length } = JSON.stringify(line);
    if (length > LINE_LENGTH_MAX) t.fail(`a line of ${length} characters: ${line.msg}`);
  }
  const answered = gateway.log.filter(({ msg }) => msg === 'answered');
  t.equal(answered.length, BATCHES, 'each request has a line');
  const taken = counter.log.filter(({ msg }) => msg === 'taken').map(({ sequence }) => sequence);
  for (const { requestId, messageId, sequence } of answered) {
    t.match(requestId, /./);
    t.match(messageId, /^[0-9a-f-]{36}$/);
    t.ok(taken.includes(sequence), `a counter took message ${String(sequence)}`);
  }
});
