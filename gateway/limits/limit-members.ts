import type { Channel } from '../../nats/channel.ts';

/** How often gateways announce themselves. */
const HELLO_MS = 1_000;
/** A gateway that was silent for this long is gone. */
const SILENCE_MS_MAX = 3_500;
/** More gateways than anyone runs; further ones are ignored. */
const MEMBERS_MAX = 1_024;

const MEMBER_ID = /^[A-Za-z0-9-]{1,64}$/;

/** The gateways that share limits, and which of them keeps a client's count. */
export interface LimitMembers {
  /** When gateways last came or went, by performance.now(). */
  readonly changedAt: number;
  /** The same on each gateway that knows the same members; changes only if its keeper comes or goes. */
  keeperOf: (client: string) => string;
  /** Excludes a member until it says hello again. */
  exclude: (id: string) => void;
  /** Announces the end, so that the others do not wait for this one. */
  close: () => void;
}

export function joinLimitMembers(own: string, channel: Channel): LimitMembers {
  const seenAt = new Map<string, number>();
  let changedAt = performance.now();
  const stopListening = channel.subscribe('members', (text) => {
    const [verb = '', id = ''] = text.split(' ', 2);
    if (!MEMBER_ID.test(id) || id === own) return;
    if (verb === 'goodbye') remove(id);
    else if (verb === 'hello') add(id);
  });
  const sayHello = () => channel.publish('members', `hello ${own}`);
  const timer = setInterval(() => {
    const now = performance.now();
    for (const [id, at] of seenAt) if (now - at > SILENCE_MS_MAX) remove(id);
    sayHello();
  }, HELLO_MS).unref();
  sayHello();

  function add(id: string): void {
    const isNew = !seenAt.has(id);
    if (isNew && seenAt.size >= MEMBERS_MAX) return;
    seenAt.set(id, performance.now());
    if (!isNew) return;
    changedAt = performance.now();
    // A new member does not know this one yet.
    sayHello();
  }

  function remove(id: string): void {
    if (seenAt.delete(id)) changedAt = performance.now();
  }

  return {
    get changedAt() {
      return changedAt;
    },
    keeperOf: (client) => (seenAt.size === 0 ? own : highest([own, ...seenAt.keys()], client)),
    exclude: remove,
    close: () => {
      clearInterval(timer);
      stopListening();
      channel.publish('members', `goodbye ${own}`);
    },
  };
}

/** Rendezvous hashing: each client ranks the members in an order of its own and takes the first. */
function highest(members: string[], client: string): string {
  let best = '';
  let bestRank = -1;
  for (const member of members) {
    const rank = hash(`${member} ${client}`);
    if (rank > bestRank || (rank === bestRank && member > best)) {
      best = member;
      bestRank = rank;
    }
  }
  return best;
}

/** FNV-1a with a final mix, which spreads what differs only in its last characters. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
