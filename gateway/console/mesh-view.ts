/*
 * The mesh as one gateway hears it: everyone's last bulletin, for as many consoles as look at it.
 * While nobody looks, nothing is listened to.
 */
import { performance } from 'node:perf_hooks';
import { Value } from 'typebox/value';
import type { Exchange } from '../../nats/broadcast.ts';
import { Bulletin, type MeshEvent } from '../../schema/message/heartbeat.ts';

const TELL_MS = 500;
/** A service that fell silent is told of this long, one that stopped in order only shortly. */
const SILENCE_MS_MAX = 60_000;
const STOPPED_MS_MAX = 5_000;
const INSTANCES_MAX = 256;
/** A counter's is about five kilobytes at most. */
const BULLETIN_LENGTH_MAX = 8 * 1024;

export interface MeshViewOptions {
  exchange: Pick<Exchange, 'subscribe'>;
  /** This gateway's own bulletin, which needs no broker. */
  readOwn: () => Bulletin;
  isBrokerConnected: () => boolean;
}

export interface MeshView {
  /** Tells a MeshEvent as JSON twice a second, until the returned function is called. */
  watch: (listener: (event: string) => void) => () => void;
}

export function createMeshView({
  exchange,
  readOwn,
  isBrokerConnected,
}: MeshViewOptions): MeshView {
  const listeners = new Set<(event: string) => void>();
  const heard = new Map<string, { bulletin: Bulletin; at: number }>();
  let listeningSince = 0;
  let stop = (): void => undefined;

  function start(): void {
    listeningSince = performance.now();
    const unsubscribe = exchange.subscribe(hear);
    const timer = setInterval(tell, TELL_MS);
    stop = () => {
      clearInterval(timer);
      unsubscribe();
      heard.clear();
    };
  }

  /** Anyone with a place on the broker may publish here; what is not a bulletin is left out. */
  function hear(text: string): void {
    if (text.length > BULLETIN_LENGTH_MAX) return;
    const bulletin = parse(text);
    if (!Value.Check(Bulletin, bulletin)) return;
    if (!heard.has(bulletin.id) && heard.size >= INSTANCES_MAX) return;
    heard.set(bulletin.id, { bulletin, at: performance.now() });
  }

  function tell(): void {
    const now = performance.now();
    const own = readOwn();
    heard.set(own.id, { bulletin: own, at: now });
    for (const [id, { bulletin, at }] of heard) {
      const keptMs = bulletin.is_stopping ? STOPPED_MS_MAX : SILENCE_MS_MAX;
      if (now - at > keptMs) heard.delete(id);
    }
    const event: MeshEvent = {
      told_by: own.id,
      broker_connected: isBrokerConnected(),
      listening_ms: Math.round(now - listeningSince),
      instances: [...heard.values()].map(({ bulletin, at }) => ({
        ...bulletin,
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
