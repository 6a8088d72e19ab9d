import { sql } from 'kysely';
import t from 'tap';
import { makeKeys, untilCounted } from '../../support/counters.ts';
import { post } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';
import { commandsOn } from '../../mesh/cli/run-command.ts';

const ROUNDS = 4;

void t.test(
  'a trigger that refuses one key holds up no other, and is replayed after it',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 500 });
    const { database } = servers;
    const gateway = await startGateway(t, servers);
    await startCounter(t, servers, { FLUSH_INTERVAL_MS: '500' });
    const { readDeadLetters } = await openStreams(t, servers);
    const [bad = '', ...keys] = makeKeys(11);
    await sql
      .raw(
        `create function refuse() returns trigger language plpgsql as $$ begin
      if new.key = '${bad}' then raise exception 'this customer has left'; end if; return new; end $$`,
      )
      .execute(database);
    await sql
      .raw(
        'create trigger refuse before insert or update on increments for each row execute function refuse()',
      )
      .execute(database);

    for (let round = 1; round <= ROUNDS; round++) {
      const answers = await Promise.all(
        [bad, ...keys].map((key) => post(gateway.url, { key, value: 1 })),
      );
      t.ok(answers.every(({ status }) => status === 200));
      for (const key of keys) await untilCounted(database, key, round);
    }
    const isAll = ({ length }: { length: number }) => length === ROUNDS;
    const letters = await until('a dead letter for each', readDeadLetters, isAll);
    t.strictSame(
      letters.map(({ reason, payload }) => ({ reason, payload })),
      letters.map(() => ({
        reason: 'refused-by-database',
        payload: `{"key":"${bad}","value":1}`,
      })),
    );

    const mesh = commandsOn(servers);
    t.match((await mesh('dead-letters show 1')).output, /P0001 this customer has left/);
    t.match((await mesh('dead-letters list --json')).answer().letters[0], {
      error: 'P0001 this customer has left',
    });
    await sql`drop trigger refuse on increments`.execute(database);
    for (let number = 1; number <= ROUNDS; number++) {
      t.equal((await mesh(`dead-letters replay ${number}`)).code, 0);
    }
    await untilCounted(database, bad, ROUNDS);
    t.equal((await mesh('audit')).code, 0, 'the audit balances');
  },
);
