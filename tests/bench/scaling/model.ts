/*
 * What a mesh costs: the prices of a request, a message and a row, times how many there are. docs/scaling.md
 * says where the prices come from.
 */

/** CPU in microseconds, as one core works; sizes in bytes. */
export interface Prices {
  gateway: { request: number; message: number };
  /** Of all brokers together. */
  oneBroker: { message: number; increment: number };
  threeBrokers: { message: number; increment: number };
  /** Idle: of one service, microseconds in a second. */
  counter: { message: number; increment: number; idle: number };
  /** Bytes between three brokers, to which clients connect without looking who leads. */
  routes: { message: number; increment: number };
  /** A row in the table of a million. */
  row: { postgres: number; counter: number; wal: number };
}

export interface Load {
  incrementsPerSecond: number;
  /** Increments in a request: 1, or a batch. */
  batch: number;
  /** Increments in a message. */
  pack: number;
  counters: number;
  brokers: 1 | 3;
  /** Each as likely as the others. */
  keys: number;
}

export interface Costs {
  messagesPerSecond: number;
  /** CPU cores that are busy. */
  cores: { gateways: number; brokers: number; counters: number; postgres: number };
  /** Into the stream, once. */
  streamBytesPerSecond: number;
  routeBytesPerSecond: number;
  rowsPerSecond: number;
  walBytesPerSecond: number;
  /** Kept for an hour. */
  ledgerBytes: number;
}

/** docs/sizing.md has these from the message and from the tables. */
const MESSAGE_BYTES = 73;
const INCREMENT_BYTES = 57;
const LEDGER_ROW_BYTES = 165;
const LEDGER_KEPT_S = 3_600;
export const FLUSH_INTERVAL_S = 9;
/** Half of KEYS_HELD_MAX. */
const KEYS_FLUSHED_AT = 125_000;

export function costsOf(load: Load, prices: Prices): Costs {
  const { incrementsPerSecond, batch, pack, brokers } = load;
  const requests = incrementsPerSecond / batch;
  const messages = incrementsPerSecond / pack;
  const broker = brokers === 3 ? prices.threeBrokers : prices.oneBroker;
  const rows = rowsPerSecond(load);
  const cores = (microseconds: number) => microseconds / 1e6;
  const streamBytes = messages * MESSAGE_BYTES + incrementsPerSecond * INCREMENT_BYTES;
  return {
    messagesPerSecond: messages,
    cores: {
      gateways: cores(requests * prices.gateway.request + messages * prices.gateway.message),
      brokers: cores(messages * broker.message + incrementsPerSecond * broker.increment),
      counters: cores(
        messages * prices.counter.message +
          incrementsPerSecond * prices.counter.increment +
          rows * prices.row.counter +
          load.counters * prices.counter.idle,
      ),
      // A row of the ledger costs about as much as one of the counters.
      postgres: cores((rows + messages) * prices.row.postgres),
    },
    streamBytesPerSecond: streamBytes,
    routeBytesPerSecond:
      brokers === 3
        ? messages * prices.routes.message + incrementsPerSecond * prices.routes.increment
        : 0,
    rowsPerSecond: rows,
    walBytesPerSecond: (rows + messages) * prices.row.wal,
    ledgerBytes: messages * LEDGER_KEPT_S * LEDGER_ROW_BYTES,
  };
}

/**
 * Rows that flushes write. A counter service gets its share of the messages and flushes the different keys
 * among them: every nine seconds, or as soon as it has too many.
 */
export function rowsPerSecond({ incrementsPerSecond, counters, keys }: Load): number {
  const own = incrementsPerSecond / counters;
  const differentAfter = (seconds: number) => keys * -Math.expm1((-own * seconds) / keys);
  const full = differentAfter(FLUSH_INTERVAL_S);
  if (full <= KEYS_FLUSHED_AT) return (counters * full) / FLUSH_INTERVAL_S;
  const seconds = (-keys / own) * Math.log1p(-KEYS_FLUSHED_AT / keys);
  return (counters * KEYS_FLUSHED_AT) / seconds;
}
