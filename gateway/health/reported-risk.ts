/*
 * What counter services report that gateways can't see: their role reads no stream. Where accepted
 * increments may be lost, a gateway is not ready.
 */
import { performance } from 'node:perf_hooks';
import { readHeartbeat } from './read-heartbeat.ts';
import type { ServiceReports } from './service-reports.ts';

/** Counter services report once a second. */
const SILENCE_MS_MAX = 5_000;
const COUNTERS_MAX = 256;

export interface ReportedRiskOptions {
  reports: Pick<ServiceReports, 'onReport'>;
  /** The identity of this gateway's database. */
  readDatabaseId: () => Promise<string>;
  /** Called with what is reported, and with undefined once nothing is. */
  onChange: (risk: string | undefined) => void;
}

/** @returns a function that tells why accepted increments may be lost; undefined if nobody says so. */
export function listenForRisk({
  reports,
  readDatabaseId,
  onChange,
}: ReportedRiskOptions): () => string | undefined {
  const risks = new Map<string, { text: string; at: number }>();
  let said: string | undefined;

  async function receive(text: string): Promise<void> {
    const heartbeat = readHeartbeat(text);
    if (heartbeat?.name !== 'counter') return;
    const { risk } = heartbeat.activity;
    if (risk === undefined || (!risks.has(heartbeat.id) && risks.size >= COUNTERS_MAX)) return;
    // The counter services of another mesh on the same broker speak of their own database.
    if (risk.database !== undefined && risk.database !== (await readDatabaseId())) return;
    risks.set(heartbeat.id, { text: risk.text, at: performance.now() });
  }

  function read(): string | undefined {
    const now = performance.now();
    for (const [id, { at }] of risks) if (now - at > SILENCE_MS_MAX) risks.delete(id);
    const risk = risks.values().next().value?.text;
    if (risk !== said) onChange(risk);
    said = risk;
    return risk;
  }

  // Without its database's identity it can't know whom a report concerns; the next comes in a second.
  // A gateway's user may not speak for a counter service.
  reports.onReport((text, kind) => {
    if (kind === 'counter' && text.includes('"risk"'))
      void receive(text).then(read, () => undefined);
    // Its end is told too, whether or not somebody asks.
    else if (said !== undefined) read();
  });
  return read;
}
