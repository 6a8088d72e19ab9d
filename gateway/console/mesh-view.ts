/*
 * The mesh as one gateway sees it: the last heartbeat of each service, shared by all open consoles. Without
 * a console it receives no heartbeats.
 */
import { performance } from 'node:perf_hooks';
import { Value } from 'typebox/value';
import type { Channel } from '../../nats/channel.ts';
import { Heartbeat, type MeshEvent } from '../../schema/message/heartbeat.ts';

const REPORT_MS = 500;
/** How long a service that fell silent is reported; one that stopped normally, only shortly. */
const SILENCE_MS_MAX = 60_000;
const STOPPED_MS_MAX = 5_000;
const INSTANCES_MAX = 256;
/** A counter service's is about five kilobytes at most. */
const HEARTBEAT_LENGTH_MAX = 8 * 1024;

export interface MeshViewOptions {
  heartbeats: Pick<Channel, 'subscribe'>;
  /** This gateway's own heartbeat, which needs no broker. */
  readOwn: () => Heartbeat;
  isBrokerConnected: () => boolean;
}

export interface MeshView {
  /** Sends a MeshEvent as JSON twice a second, until the returned function is called. */
  watch: (listener: (event: string) => void) => () => void;
}

export function createMeshView({
  heartbeats,
  readOwn,
  isBrokerConnected,
}: MeshViewOptions): MeshView {
  const listeners = new Set<(event: string) => void>();
  const received = new Map<string, { heartbeat: Heartbeat; at: number }>();
  let listeningSince = 0;
  let stop = (): void => undefined;

  function start(): void {
    listeningSince = performance.now();
    const unsubscribe = heartbeats.subscribe('*', receive);
    const timer = setInterval(report, REPORT_MS);
    stop = () => {
      clearInterval(timer);
      unsubscribe();
      received.clear();
    };
  }

  /** Any client of the broker may publish here; what is not a heartbeat is ignored. */
  function receive(text: string): void {
    if (text.length > HEARTBEAT_LENGTH_MAX) return;
    const heartbeat = parse(text);
    if (!Value.Check(Heartbeat, heartbeat)) return;
    if (!received.has(heartbeat.id) && received.size >= INSTANCES_MAX) return;
    received.set(heartbeat.id, { heartbeat, at: performance.now() });
  }

  function report(): void {
    const now = performance.now();
    const own = readOwn();
    received.set(own.id, { heartbeat: own, at: now });
    for (const [id, { heartbeat, at }] of received) {
      const keptMs = heartbeat.is_stopping ? STOPPED_MS_MAX : SILENCE_MS_MAX;
      if (now - at > keptMs) received.delete(id);
    }
    const event: MeshEvent = {
      reported_by: own.id,
      broker_connected: isBrokerConnected(),
      listening_ms: Math.round(now - listeningSince),
      instances: [...received.values()].map(({ heartbeat, at }) => ({
        ...heartbeat,
        silent_ms: Math.round(now - at),
      })),
    };
    const text = JSON.stringify(event);
    for (const listener of Array.from(listeners)) listener(text);
  }

  return {
    watch: (listener) => {
      if (listeners.size === 0) start();
      listeners.add(listener);
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) stop();
      };
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
