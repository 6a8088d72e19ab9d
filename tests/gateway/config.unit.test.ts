import t from 'tap';
import { GatewayConfig, readGatewayConfig } from '../../gateway/config.ts';
import { checkBounds, problemsOf } from '../schema/settings/problems-of.ts';

const NEEDED = { NATS_URL: 'nats://x', DATABASE_URL: 'postgres://x' };
const problems = (environment: NodeJS.ProcessEnv) =>
  problemsOf(() => readGatewayConfig(environment));

void t.test('every number has bounds, which it may reach', (t) => {
  checkBounds(t, GatewayConfig, NEEDED);
  t.end();
});

void t.test('a gateway beyond loopback refuses to be open by accident', (t) => {
  const environment = { ...NEEDED, HOST: '0.0.0.0' };
  t.match(problems(environment), [/HOST is 0\.0\.0\.0.*AUTH=off/]);
  t.strictSame(problems({ ...environment, AUTH: 'off' }), []);
  t.strictSame(problems({ ...environment, API_KEYS_FILE: 'keys.json' }), []);
  t.strictSame(problems({ ...environment, HOST: '127.0.0.1' }), []);
  t.end();
});

void t.test('settings that contradict each other are refused, all at once', (t) => {
  const files = { API_KEYS_FILE: 'keys.json', TLS_CERT_FILE: 'cert.pem' };
  t.match(problems({ ...NEEDED, ...files, AUTH: 'off' }), [
    /^API_KEYS_FILE is set and AUTH is off/,
    /^TLS_CERT_FILE and TLS_KEY_FILE go together/,
  ]);
  t.end();
});

void t.test('every problem is listed at once, and no password', (t) => {
  const found = problems({
    PORT: '10s',
    NATS_URL: 'http://secret@x',
    PUBLISH_DEADLINE_MS: '1',
    TRUST_PROXY: '1.2.3.4/99',
    LOG_LEVEL: 'loud',
  });
  t.match(found, [
    /^PORT is "10s", and must be an integer from 0 to 65535/,
    /^NATS_URL is not understood/,
    /^DATABASE_URL is not set/,
    /^PUBLISH_DEADLINE_MS is "1", and must be an integer from 100 to 30000/,
    /^TRUST_PROXY is "1\.2\.3\.4\/99": .*10\.0\.0\.0\/8/,
    /^LOG_LEVEL is "loud"/,
  ]);
  t.equal(found.length, 6);
  t.notMatch(found.join('\n'), 'secret', 'a URL may hold a password');
  const wrongPort = { ...NEEDED, NATS_URL: 'nats://gateway:secret@host:99999' };
  t.match(problems(wrongPort), [/NATS_URL is not understood: .*65535/]);
  t.end();
});
