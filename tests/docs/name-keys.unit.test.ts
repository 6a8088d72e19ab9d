import t from 'tap';
import { nameKey } from '../../docs/name-keys.ts';
import { isKey } from '../../schema/increment.ts';

const DNS = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';

void t.test('a name gives the key that RFC 9562 has for it, and each period its own', (t) => {
  t.equal(nameKey(DNS, 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2');
  const keys = ['signups/2026-11', 'signups/2026-12', 'größe/2026-11'].map((name) =>
    nameKey(DNS, name),
  );
  t.ok(keys.every(isKey));
  t.equal(new Set(keys).size, keys.length);
  t.end();
});
