/* What is wrong with the mesh, as this gateway sees it: anew when somebody asks, once a second for all who do. */
import { performance } from 'node:perf_hooks';
import { diagnose, oldestAge } from '../../telemetry/diagnosis/diagnose.ts';
import type { Finding } from '../../telemetry/diagnosis/findings.ts';
import { lookAtProcess } from '../../telemetry/diagnosis/look-at-process.ts';
import type { Observations, Reached, Service } from '../../telemetry/diagnosis/observations.ts';
import type { Instance } from '../../telemetry/instance.ts';
import type { ServiceReport, ServiceReports } from './service-reports.ts';
import type { StoreProblem } from './store-state.ts';

const LOOK_MS = 1_000;
/** By then every service that runs has reported. */
const LISTENING_MS_MIN = 3_500;
/** A host's, which any client of the broker may make up. */
const NAME_LENGTH_MAX = 64;

export interface Diagnosis {
  /** The headline first; a second old at most. */
  readonly findings: Finding[];
  /** Of the oldest increment that is not counted; undefined if no counter service reports it. */
  readonly stalenessMs: number | undefined;
}

export interface DiagnosisOptions {
  own: Instance;
  reports: ServiceReports;
  isBrokerConnected: () => boolean;
  isStreamThere: () => boolean;
  readStoreProblem: () => StoreProblem | undefined;
  readRisk: () => string | undefined;
  readDatabase: () => Reached | undefined;
}

export function createDiagnosis(options: DiagnosisOptions): Diagnosis {
  let lookedAt = -Infinity;
  let findings: Finding[] = [];
  let stalenessMs: number | undefined;

  function look(): void {
    const now = performance.now();
    if (now - lookedAt < LOOK_MS) return;
    lookedAt = now;
    const seen = observe(options);
    findings = diagnose(seen);
    stalenessMs = oldestAge(seen);
  }

  return {
    get findings() {
      look();
      return findings;
    },
    get stalenessMs() {
      look();
      return stalenessMs;
    },
  };
}

function observe(options: DiagnosisOptions): Observations {
  const { own, reports, isBrokerConnected, readStoreProblem, isStreamThere } = options;
  const isHeard = isBrokerConnected() && reports.listeningMs > LISTENING_MS_MIN;
  return {
    broker: isBrokerConnected()
      ? { state: 'answers', detail: '' }
      : { state: 'away', detail: `${own.instance} has no connection to it` },
    store: storeOf(readStoreProblem(), isStreamThere()),
    risk: options.readRisk(),
    database: options.readDatabase(),
    // While the broker is away nobody is heard, and nobody is known to be gone.
    services: isHeard ? reports.read().map((report) => asService(report, own)) : undefined,
  };
}

function storeOf(problem: StoreProblem | undefined, isStreamThere: boolean): Observations['store'] {
  if (problem !== undefined) return { failure: problem.failure, detail: problem.reason };
  return isStreamThere ? undefined : { failure: 'away', detail: 'nothing answers for it' };
}

function asService({ heartbeat, silentMs }: ServiceReport, own: Instance): Service {
  const { stats, is_stopping: isStopping } = heartbeat;
  const state = {
    instance: stats.instance ?? `${stats.host} ${stats.pid}`.slice(0, NAME_LENGTH_MAX),
    silentMs,
    isStopping,
    process: silentMs > LOOK_MS ? lookAtProcess(stats, own) : undefined,
  };
  return heartbeat.name === 'gateway'
    ? { ...state, kind: 'gateway', stats: heartbeat.stats }
    : { ...state, kind: 'counter', stats: heartbeat.stats, activity: heartbeat.activity };
}
