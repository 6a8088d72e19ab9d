import { identify, type DiscoverableService } from '../../nats/discovery.ts';
import { HTTP_SUBJECT } from '../../nats/streams.ts';
import type { GatewayStats, Heartbeat } from '../../schema/message/heartbeat.ts';
import type { KeyUses } from '../../schema/message/key-uses.ts';
import type { StoreProblem } from '../health/store-state.ts';
import type { Instance } from '../../telemetry/instance.ts';
import type { Finding } from '../../telemetry/diagnosis/findings.ts';
import type { Stats } from './stats.ts';

/** What a gateway reports of itself: to the nats CLI on request, and to consoles once a second. */
export function createReport(
  own: Instance,
  stats: Stats,
  observe: {
    waiting: () => number;
    readClockAheadMs: () => number;
    isSyncStated: boolean;
    readStoreProblem: () => StoreProblem | undefined;
    readFindings: () => Finding[];
    /** If absent, authentication is off. */
    readKeyUses?: (() => KeyUses) | undefined;
  },
): { service: DiscoverableService; readHeartbeat: () => Heartbeat } {
  const identity = identify();
  const readStats = (): GatewayStats => {
    const problem = observe.readStoreProblem();
    return {
      ...own,
      increments_accepted: stats.incrementsAccepted,
      messages_published: stats.messagesStored,
      responses: { ...stats.responses },
      increments_waiting: observe.waiting(),
      clock_ahead_ms: Math.round(observe.readClockAheadMs()),
      is_sync_stated: observe.isSyncStated,
      ...(problem !== undefined && { store_problem: problem }),
    };
  };
  return {
    readHeartbeat: () => ({
      name: 'gateway',
      id: identity.id,
      version: identity.version,
      uptime_ms: Math.round(process.uptime() * 1000),
      is_stopping: false,
      stats: readStats(),
    }),
    service: {
      ...identity,
      name: 'gateway',
      description: 'Takes increments over HTTP and stores them in the stream',
      metadata: {
        project: 'increment-mesh',
        pid: String(own.pid),
        host: own.host,
        instance: own.instance,
      },
      endpoint: {
        name: 'increments',
        subject: HTTP_SUBJECT,
        queueGroup: 'http',
        metadata: {
          takes: 'POST /increment',
          counts: 'messages stored, and the time until the broker had them on disk',
        },
      },
      readWork: () => ({
        requests: stats.messagesStored + stats.messagesFailed,
        errors: stats.messagesFailed,
        lastError: stats.lastError,
        processingMs: stats.publishingMs,
        stats: {
          ...readStats(),
          key_uses: observe.readKeyUses?.(),
          findings: observe.readFindings(),
        },
      }),
    },
  };
}
