import { diagnose, sortByCause } from '../../../telemetry/diagnosis/diagnose.ts';
import type { Finding, FindingName } from '../../../telemetry/diagnosis/findings.ts';
import { FINDINGS } from '../../../telemetry/diagnosis/findings.ts';
import { lookAtProcess } from '../../../telemetry/diagnosis/look-at-process.ts';
import type {
  MissingService,
  Observations,
  Service,
} from '../../../telemetry/diagnosis/observations.ts';
import { readInstance } from '../../../telemetry/instance.ts';
import type { MeshFile } from '../../local/mesh-file.ts';
import { isAway, type MeshParts } from './mesh-status.ts';
import type { ServiceStatus } from './read-services.ts';

/** What is wrong, by what this command has read and by what gateways say. @param mesh of `npm start`. */
export function diagnoseStatus(parts: MeshParts, mesh: MeshFile | undefined): Finding[] {
  return sortByCause([...diagnose(observe(parts, mesh)), ...reportedByGateways(parts)]);
}

function observe(parts: MeshParts, mesh: MeshFile | undefined): Observations {
  const { services, broker, database, replicas, stalenessMs, disagreement } = parts;
  const found = isAway(services) ? undefined : services;
  return {
    broker: isAway(broker)
      ? { state: broker.isSilent ? 'silent' : 'away', detail: broker.away }
      : { state: 'answers', detail: '' },
    database: isAway(database)
      ? { state: database.isSilent ? 'silent' : 'away', detail: database.away }
      : { state: 'answers', detail: '' },
    services: found?.map(asService),
    missing: found && mesh && findMissing(found, mesh),
    ...(!isAway(broker) && {
      stream: broker.stream,
      consumer: broker.consumerState,
      settings: broker.settings,
      deadLetters: broker.deadLetters.messages,
    }),
    ...(!isAway(replicas) && replicas.behind !== null && { replicasBehind: replicas.behind }),
    ...(!isAway(database) && { parked: database.parked }),
    stalenessMs: stalenessMs ?? undefined,
    disagreement: disagreement ?? undefined,
  };
}

function asService(status: ServiceStatus): Service {
  const state = { instance: nameOf(status), silentMs: 0, isStopping: false };
  return status.name === 'gateway'
    ? { ...state, kind: 'gateway', stats: status.stats }
    : { ...state, kind: 'counter', stats: status.stats, activity: status.activity };
}

/** As its log is named. */
export function nameOf({ stats }: ServiceStatus): string {
  return stats.instance ?? `${stats.host} ${stats.pid}`;
}

/** Those that `npm start` has started and that have not answered. */
function findMissing(services: ServiceStatus[], mesh: MeshFile): MissingService[] {
  const answering = new Set(services.map(({ stats }) => stats.pid));
  const own = readInstance(undefined);
  const missing = (kind: 'gateway' | 'counter', started: { pid: number; name?: string }[]) =>
    started
      .filter(({ pid }) => !answering.has(pid))
      .map(({ pid, name = `pid ${pid}` }) => ({
        kind,
        instance: name,
        silentMs: Infinity,
        isStopping: false,
        process: lookAtProcess({ ...own, pid }, own),
      }));
  return [...missing('gateway', mesh.gateways), ...missing('counter', mesh.counters)];
}

/** What gateways see that a command can't: services that have just gone, and whether the stream stores. */
function reportedByGateways({ services }: MeshParts): Finding[] {
  if (isAway(services)) return [];
  return services.flatMap((service) => {
    if (service.name !== 'gateway') return [];
    return (service.stats.findings ?? []).flatMap((finding) => {
      if (!(finding.name in FINDINGS)) return [];
      const evidence = `${nameOf(service)}: ${finding.evidence}`;
      return [{ ...finding, name: finding.name as FindingName, evidence }];
    });
  });
}
