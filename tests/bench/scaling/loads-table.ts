import { PACK_INCREMENTS_MAX } from '../../../schema/message/envelope.ts';
import { formatNumber, formatTable } from '../harness/table.ts';
import { prices, slowness } from './measured.ts';
import { costsOf, FLUSH_INTERVAL_S, type Costs, type Load } from './model.ts';
import { incrementMsOfStream, MESSAGE_MS } from './queue-costs.ts';

/** A gateway's CPU for an increment of a batch of 10 000: one core took 1 556 000 a second. */
const BATCHED_INCREMENT_US = 0.64;
/** What one counter service drains: packs of 100 over 10 000 keys. */
const COUNTED_PER_SECOND = 1_047_000;
/** How far a process is loaded at most, so that what varies has room. */
const BUSY_MAX = 0.7;

interface LoadCosts {
  load: Pick<Load, 'incrementsPerSecond' | 'batch' | 'pack'>;
  gatewayCores: number;
  /** How many leaders it keeps busy all the time. */
  leaders: number;
  counters: number;
  /** With 100 thousand and with 10 million keys. */
  fewKeys: Costs;
  manyKeys: Costs;
}

const SMALL = costsOfLoad(1e4, 1, 10);
const SINGLY = costsOfLoad(1e6, 1, PACK_INCREMENTS_MAX);
const BATCHED = costsOfLoad(1e6, 10_000, 10_000);
const TEN_SINGLY = costsOfLoad(1e7, 1, PACK_INCREMENTS_MAX);
const TEN_BATCHED = costsOfLoad(1e7, 10_000, 10_000);

function costsOfLoad(incrementsPerSecond: number, batch: number, pack: number): LoadCosts {
  const load = { incrementsPerSecond, batch, pack };
  const counters = Math.ceil(incrementsPerSecond / COUNTED_PER_SECOND / BUSY_MAX);
  const costsWith = (keys: number) => costsOf({ ...load, counters, brokers: 3, keys }, prices);
  const fewKeys = costsWith(100_000);
  const batchedCores = (incrementsPerSecond * BATCHED_INCREMENT_US) / 1e6;
  const messageMs = MESSAGE_MS + (pack * incrementMsOfStream()) / slowness;
  return {
    load,
    gatewayCores: batch === 1 ? fewKeys.cores.gateways : batchedCores,
    leaders: (fewKeys.messagesPerSecond * messageMs) / 1_000,
    counters,
    fewKeys,
    manyKeys: costsWith(10_000_000),
  };
}

/** What ends first, in words. */
export function summaryOfLoads(): string {
  const gateways = ({ gatewayCores }: LoadCosts) => processesFor(gatewayCores);
  const streams = ({ leaders }: LoadCosts) => processesFor(leaders);
  const millions = ({ leaders }: LoadCosts) => (BUSY_MAX / leaders).toFixed(1);
  const gbits = ({ fewKeys }: LoadCosts) => formatNumber(inGbits(fewKeys.routeBytesPerSecond));
  const postgres = ({ manyKeys }: LoadCosts) => Math.ceil(manyKeys.cores.postgres);
  return `- **10 thousand requests/s**: nothing ends. Two gateways, one stream, one counter service.
- **1 million requests/s**, one increment each: the CPU of the gateways ends first (${gateways(SINGLY)} of them, each with
  a core); then a network of 1 Gbit/s between the brokers, which has to carry ${gbits(SINGLY)}. In batches
  ${gateways(BATCHED)} gateway does.
- **10 million**: gateways first (${gateways(TEN_SINGLY)}; ${gateways(TEN_BATCHED)} in batches), then one stream (${streams(TEN_SINGLY)} are needed; ${streams(TEN_BATCHED)} in
  batches), then 10 Gbit/s between brokers.
- **PostgreSQL** does not see requests, only different keys: with 100 thousand keys ${Math.ceil(TEN_SINGLY.fewKeys.cores.postgres)} cores do at any of these
  loads, with 10 million keys nearly every increment is a row, and 1 million increments/s take ${postgres(SINGLY)} cores.
- A **second stream** pays above ${millions(SINGLY)} million single increments/s, ${millions(BATCHED)} million in batches, or where a hundred
  gateways must answer within 50 ms.`;
}

function processesFor(cores: number): number {
  return Math.ceil(cores / BUSY_MAX);
}

export function tableOfLoads(): string {
  const loads: [name: string, costs: LoadCosts][] = [
    ['10 000, singly', SMALL],
    ['1 million, singly', SINGLY],
    ['1 million, in batches', BATCHED],
    ['10 million, singly', TEN_SINGLY],
    ['10 million, in batches', TEN_BATCHED],
  ];
  const rows: [name: string, read: (costs: LoadCosts) => number][] = [
    ['gateways: cores', ({ gatewayCores }) => gatewayCores],
    ['increments in a message', ({ load }) => load.pack],
    ['messages/s', ({ fewKeys }) => fewKeys.messagesPerSecond],
    ['streams, their leaders always busy', ({ leaders }) => leaders],
    ['into the stream, Gbit/s', ({ fewKeys }) => inGbits(fewKeys.streamBytesPerSecond)],
    [
      'waits in it for nine seconds, GB',
      ({ fewKeys }) => (fewKeys.streamBytesPerSecond * FLUSH_INTERVAL_S) / 1e9,
    ],
    ['between three brokers, Gbit/s', ({ fewKeys }) => inGbits(fewKeys.routeBytesPerSecond)],
    ['counter services', ({ counters }) => counters],
    ['100 thousand keys: rows/s', ({ fewKeys }) => fewKeys.rowsPerSecond],
    ['PostgreSQL cores', ({ fewKeys }) => fewKeys.cores.postgres],
    ['WAL, MB/s', ({ fewKeys }) => fewKeys.walBytesPerSecond / 1e6],
    ['10 million keys: rows/s', ({ manyKeys }) => manyKeys.rowsPerSecond],
    ['PostgreSQL cores', ({ manyKeys }) => manyKeys.cores.postgres],
    ['WAL, MB/s', ({ manyKeys }) => manyKeys.walBytesPerSecond / 1e6],
    ['ledger, GB', ({ fewKeys }) => fewKeys.ledgerBytes / 1e9],
  ];
  return formatTable(
    ['increments/s', ...loads.map(([name]) => name)],
    rows.map(([name, read]) => [name, ...loads.map(([, costs]) => formatNumber(read(costs)))]),
  );
}

function inGbits(bytesPerSecond: number): number {
  return (bytesPerSecond * 8) / 1e9;
}
