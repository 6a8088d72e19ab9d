/*
 * The worst moments: what passes between a service and its server just when something is decided.
 */
import type { Connections, Fate, Watcher, Wire } from './proxy.ts';

/** A busy mesh has each of these moments every flush interval. */
const MOMENT_MS_MAX = 6_000;

const PUBLISH = /^H?PUB increments\.http (\S+) /;
const SETTLEMENT = /^H?PUB (\$JS\.API\.STREAM\.PURGE\.|\$JS\.ACK\.)/;
const UPSERT = /insert into "increments"/;
const COMMIT = /^Q commit/i;
const OUTSIDE_TRANSACTION = /^Q (begin|start|rollback)/i;

/** What is done at the moment; it decides what becomes of the message that passes. */
export type Act = () => Fate;

/** Waits for the moment and acts once. @returns false where it did not come in time. */
export function strike(connections: Connections, watcher: Watcher): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (struck: boolean) => {
      clearTimeout(timer);
      stopWatching();
      resolve(struck);
    };
    const timer = setTimeout(() => end(false), MOMENT_MS_MAX);
    const stopWatching = connections.watch((frame, wire) => {
      const fate = watcher(frame, wire);
      if (fate !== undefined) end(true);
      return fate;
    });
  });
}

/** The message is on its way to the broker. */
export function atPublish(act: Act): Watcher {
  return ({ toServer, head }) => (toServer && PUBLISH.test(head) ? act() : undefined);
}

/** The broker has stored the message and says so. */
export function atPubAck(act: (pubAck: string) => Fate): Watcher {
  const awaited = new Map<string, Wire>();
  return ({ toServer, head, bytes }, wire) => {
    const reply = toServer ? PUBLISH.exec(head)?.[1] : undefined;
    if (reply !== undefined) awaited.set(reply, wire);
    const isPubAck = !toServer && awaited.get(head.split(' ')[1] ?? '') === wire;
    return isPubAck ? act(bytes.toString('latin1')) : undefined;
  };
}

/** Counts are committed; the broker is about to be told. */
export function atSettlement(act: Act): Watcher {
  return ({ toServer, head }) => (toServer && SETTLEMENT.test(head) ? act() : undefined);
}

/** The transaction changes its rows, which are locked from here on. */
export function atUpsert(act: Act): Watcher {
  return ({ toServer, head }) => (toServer && UPSERT.test(head) ? act() : undefined);
}

/** A transaction that counts is about to be committed. */
export function atCommit(act: Act): Watcher {
  const counting = new Set<Wire>();
  return ({ toServer, head }, wire) => {
    if (!toServer) return undefined;
    if (UPSERT.test(head)) counting.add(wire);
    if (OUTSIDE_TRANSACTION.test(head)) counting.delete(wire);
    return COMMIT.test(head) && counting.delete(wire) ? act() : undefined;
  };
}

/** It is committed, and the server says so. */
export function atCommitAnswer(act: Act): Watcher {
  let awaited: Wire | undefined;
  const commit = atCommit(() => 'pass');
  return (frame, wire) => {
    if (!frame.toServer) return wire === awaited ? act() : undefined;
    if (commit(frame, wire) !== undefined) awaited = wire;
    return undefined;
  };
}
