import { PACK_INCREMENTS_MAX } from '../../../schema/message/envelope.ts';
import { formatNumber, formatTable } from '../harness/table.ts';
import { prices, slowness } from './measured.ts';
import { costsOf, FLUSH_INTERVAL_S, type Load } from './model.ts';
import { incrementMsOfStream, MESSAGE_MS } from './queue-costs.ts';

/** A gateway's CPU for an increment of a batch of 10 000: one core took 1 556 000 a second. */
const BATCHED_INCREMENT_US = 0.64;
/** What one counter service drains: packs of 100 over 10 000 keys. */
const COUNTED_PER_SECOND = 1_047_000;
/** How far a process is loaded at most, so that what varies has room. */
const BUSY_MAX = 0.7;

export function tableOfLoads(): string {
  const incrementMs = incrementMsOfStream() / slowness;
  const loads: [name: string, load: Pick<Load, 'incrementsPerSecond' | 'batch' | 'pack'>][] = [
    ['10 000, singly', { incrementsPerSecond: 1e4, batch: 1, pack: 10 }],
    ['1 million, singly', { incrementsPerSecond: 1e6, batch: 1, pack: PACK_INCREMENTS_MAX }],
    ['1 million, in batches', { incrementsPerSecond: 1e6, batch: 10_000, pack: 10_000 }],
    ['10 million, singly', { incrementsPerSecond: 1e7, batch: 1, pack: PACK_INCREMENTS_MAX }],
    ['10 million, in batches', { incrementsPerSecond: 1e7, batch: 10_000, pack: 10_000 }],
  ];
  const columns = loads.map(([, load]) => {
    const counters = Math.ceil(load.incrementsPerSecond / COUNTED_PER_SECOND / BUSY_MAX);
    const of = (keys: number) => costsOf({ ...load, counters, brokers: 3, keys }, prices);
    const { cores, messagesPerSecond, streamBytesPerSecond, routeBytesPerSecond, ledgerBytes } =
      of(100_000);
    const gatewayCores =
      load.batch === 1 ? cores.gateways : (load.incrementsPerSecond * BATCHED_INCREMENT_US) / 1e6;
    const serviceMs = MESSAGE_MS + load.pack * incrementMs;
    const databases = [100_000, 10_000_000].map((keys) => of(keys));
    return [
      gatewayCores,
      load.pack,
      messagesPerSecond,
      messagesPerSecond * serviceMs * 1e-3,
      (streamBytesPerSecond * 8) / 1e9,
      (streamBytesPerSecond * FLUSH_INTERVAL_S) / 1e9,
      (routeBytesPerSecond * 8) / 1e9,
      counters,
      ...databases.flatMap((each) => [
        each.rowsPerSecond,
        each.cores.postgres,
        each.walBytesPerSecond / 1e6,
      ]),
      ledgerBytes / 1e9,
    ];
  });
  const names = [
    'gateways: cores',
    'increments in a message',
    'messages/s',
    'streams, their leaders always busy',
    'into the stream, Gbit/s',
    'waits in it for nine seconds, GB',
    'between three brokers, Gbit/s',
    'counter services',
    '100 thousand keys: rows/s',
    'PostgreSQL cores',
    'WAL, MB/s',
    '10 million keys: rows/s',
    'PostgreSQL cores',
    'WAL, MB/s',
    'ledger, GB',
  ];
  return formatTable(
    ['increments/s', ...loads.map(([name]) => name)],
    names.map((name, row) => [name, ...columns.map((column) => formatNumber(column[row]))]),
  );
}
