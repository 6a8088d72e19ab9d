/*
 * What services report of themselves once a second: the last heartbeat of each. They are read when somebody
 * looks, not when they come.
 */
import { performance } from 'node:perf_hooks';
import type { Channel } from '../../nats/channel.ts';
import type { Heartbeat } from '../../schema/message/heartbeat.ts';
import { HEARTBEAT_LENGTH_MAX, readHeartbeat } from './read-heartbeat.ts';

/** How long a service that fell silent is reported; one that stopped normally, only shortly. */
const SILENCE_MS_MAX = 60_000;
const STOPPED_MS_MAX = 5_000;
const INSTANCES_MAX = 256;

export interface ServiceReports {
  /** The last report of each service and of this gateway, with the time since. */
  read: () => ServiceReport[];
  /** Calls the listener with each report as it comes, and with the kind of service that may send it. */
  onReport: (listener: (text: string, kind: string) => void) => void;
  /** For how long this gateway has listened without a break. */
  readonly listeningMs: number;
}

export interface ServiceReport {
  heartbeat: Heartbeat;
  silentMs: number;
}

interface Received {
  text: string;
  at: number;
  /** Undefined until it is read; null for what is no heartbeat. */
  heartbeat?: Heartbeat | null;
}

export function collectReports(options: {
  heartbeats: Pick<Channel, 'subscribe'>;
  /** This gateway's own heartbeat, which needs no broker. */
  readOwn: () => Heartbeat;
  /** Called with a function to call whenever the broker was away. */
  onBroken: (forget: () => void) => void;
}): ServiceReports {
  const received = new Map<string, Received>();
  const listeners: ((text: string, kind: string) => void)[] = [];
  let listeningSince = performance.now();
  options.onBroken(() => {
    listeningSince = performance.now();
  });
  options.heartbeats.subscribe('*', receive);

  /** Any client of the broker may publish here; what is not a heartbeat is ignored. */
  function receive(text: string, kind: string): void {
    if (text.length > HEARTBEAT_LENGTH_MAX) return;
    const id = /"id":"([^"]{1,64})"/.exec(text)?.[1];
    if (id === undefined) return;
    for (const listener of listeners) listener(text, kind);
    // Whoever may publish as one kind does not take the place of another.
    const key = `${kind} ${id}`;
    if (!received.has(key) && received.size >= INSTANCES_MAX) dropSilent();
    if (!received.has(key) && received.size >= INSTANCES_MAX) return;
    received.set(key, { text, at: performance.now() });
  }

  /** For weeks nobody may look, and services are started again and again. */
  function dropSilent(): void {
    const now = performance.now();
    for (const [key, { at }] of received) if (now - at > SILENCE_MS_MAX) received.delete(key);
  }

  function read(): ServiceReport[] {
    const now = performance.now();
    const own = options.readOwn();
    const found = [{ heartbeat: own, silentMs: 0 }];
    for (const [key, one] of received) {
      const heartbeat = (one.heartbeat ??= readHeartbeat(one.text));
      const silentMs = now - one.at;
      const keptMs = heartbeat?.is_stopping === true ? STOPPED_MS_MAX : SILENCE_MS_MAX;
      if (heartbeat === null || `${heartbeat.name} ${heartbeat.id}` !== key || silentMs > keptMs)
        received.delete(key);
      else if (heartbeat.id !== own.id) found.push({ heartbeat, silentMs });
    }
    return withoutReplaced(found);
  }

  return {
    read,
    onReport: (listener) => listeners.push(listener),
    get listeningMs() {
      return performance.now() - listeningSince;
    },
  };
}

/** A service that was started again under its name has taken the place of the one that is silent. */
function withoutReplaced(found: ServiceReport[]): ServiceReport[] {
  return found.filter(
    ({ heartbeat, silentMs }) =>
      !found.some(
        (other) =>
          heartbeat.stats.instance !== undefined &&
          other.silentMs < silentMs &&
          nameOf(other.heartbeat) === nameOf(heartbeat) &&
          other.heartbeat.uptime_ms < silentMs + UPTIME_SLACK_MS,
      ),
  );
}

/** A heartbeat is a second old at most. */
const UPTIME_SLACK_MS = 2_000;

function nameOf({ name, stats }: Heartbeat): string {
  return `${name} ${stats.host} ${stats.instance}`;
}
