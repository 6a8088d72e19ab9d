import t from 'tap';
import { canonicalAddress } from '../../../gateway/limits/client-address.ts';

const SAME: Record<string, (string | undefined)[]> = {
  '203.0.113.7': [
    '203.0.113.7',
    '203.0.113.7:4000',
    '203.0.113.7:65535',
    ' 203.0.113.7 ',
    '::ffff:203.0.113.7',
    '::FFFF:203.0.113.7',
    '::ffff:cb00:7107',
    '[::ffff:203.0.113.7]:4000',
    '0:0:0:0:0:ffff:203.0.113.7',
  ],
  '2001:db8::': [
    '2001:db8::1',
    '2001:DB8::1',
    '2001:0db8:0000:0000:ffff::2',
    '2001:db8:0:0:1:2:3:4',
    '[2001:db8::1]',
    '[2001:db8::1]:443',
    '2001:db8::1%eth0',
  ],
  '2001:db8:0:1::': ['2001:db8:0:1::1'],
  unknown: [
    undefined,
    '',
    'unknown',
    '_hidden',
    'bob',
    '203.0.113',
    '203.0.113.7:x',
    '203.0.113.256',
    '203.0.113.7:4000:1',
    '[2001:db8::1',
    '2001:db8:::1',
    'x'.repeat(12_000),
  ],
};

void t.test('however an address is written, it is one client', (t) => {
  for (const [canonical, written] of Object.entries(SAME)) {
    for (const each of written)
      t.equal(canonicalAddress(each), canonical, String(each).slice(0, 50));
  }
  t.end();
});
