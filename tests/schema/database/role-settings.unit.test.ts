import t from 'tap';
import {
  connectionLimits,
  connectionsFor,
  SERVICE_CONNECTIONS_MAX,
} from '../../../schema/database/role-settings.ts';

void t.test('the limits of all roles together leave room for the owner', (t) => {
  for (let usable = 10; usable <= 1_000; usable++) {
    const limits = Object.values(connectionLimits(usable));
    const left = usable - limits.reduce((sum, limit) => sum + limit, 0);
    if (left < 1 || limits.some((limit) => limit < 1)) t.fail(`${usable}: ${limits.join(', ')}`);
  }
  t.strictSame(connectionLimits(97), { gateway: 38, counter: 38, reader: 3 });
  t.end();
});

void t.test('with the connections for so many services, each gets its own', (t) => {
  for (let services = 1; services <= 64; services++) {
    // PostgreSQL reserves three.
    const limits = connectionLimits(connectionsFor(services) - 3);
    const needed = SERVICE_CONNECTIONS_MAX * services;
    t.ok(limits.gateway >= needed && limits.counter >= needed, `${services} services`);
  }
  t.equal(connectionsFor(2), 100);
  t.end();
});
