/** A mesh, and the load of a generator whose clients each wait for their answer. */
export interface PointShape {
  gateways: number;
  counters: number;
  brokers: 1 | 3;
  keys: number;
  connections: number;
}

/** Its costs were predicted before it was measured; it is in no fit. */
export const PREDICTED: PointShape = {
  gateways: 2,
  counters: 4,
  brokers: 3,
  keys: 1_000_000,
  connections: 256,
};

/** What it took: from the first request until everything was committed. */
export interface Point extends PointShape {
  /** CPU of Fastify for a request that stores nothing, shortly before on the same machine. */
  yardstickUs: number;
  /** Of load. */
  seconds: number;
  requests: number;
  p50Ms: number;
  p99Ms: number;
  messages: number;
  /** Counters that flushes wrote; the ledger has one row for each message besides. */
  rows: number;
  walBytes: number;
  /** Between brokers. */
  routeBytes: number;
  /** Of all processes of a kind together. */
  cpuSeconds: Record<'gateway' | 'broker' | 'counter' | 'postgres', number>;
  /** Of the largest process of a kind; PostgreSQL's together. */
  peakMib: Record<'gateway' | 'broker' | 'counter' | 'postgres', number>;
}
