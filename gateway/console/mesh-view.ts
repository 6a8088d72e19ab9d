/* The mesh as one gateway sees it, shared by all open consoles. */
import type { MeshEvent } from '../../schema/message/heartbeat.ts';
import type { Diagnosis } from '../health/diagnosis.ts';
import type { ServiceReports } from '../health/service-reports.ts';

const REPORT_MS = 500;

export interface MeshViewOptions {
  reports: ServiceReports;
  diagnosis: Pick<Diagnosis, 'findings' | 'stalenessMs'>;
  isBrokerConnected: () => boolean;
}

export interface MeshView {
  /** Sends a MeshEvent as JSON twice a second, until the returned function is called. */
  watch: (listener: (event: string) => void) => () => void;
}

export function createMeshView({
  reports,
  diagnosis,
  isBrokerConnected,
}: MeshViewOptions): MeshView {
  const listeners = new Set<(event: string) => void>();
  let timer: NodeJS.Timeout | undefined;

  function report(): void {
    const found = reports.read();
    const event: MeshEvent = {
      // This gateway comes first.
      reported_by: found[0]!.heartbeat.id,
      broker_connected: isBrokerConnected(),
      listening_ms: Math.round(reports.listeningMs),
      findings: diagnosis.findings,
      staleness_ms: diagnosis.stalenessMs ?? null,
      instances: found.map(({ heartbeat, silentMs }) => ({
        ...heartbeat,
        silent_ms: Math.round(silentMs),
      })),
    };
    const text = JSON.stringify(event);
    for (const listener of Array.from(listeners)) listener(text);
  }

  return {
    watch: (listener) => {
      timer ??= setInterval(report, REPORT_MS);
      listeners.add(listener);
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}
