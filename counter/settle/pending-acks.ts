/*
 * Committed messages that the broker still holds as unacknowledged. Each is in one state:
 *   waiting   for a purge by any counter service, until its ack deadline is near;
 *   extended  its deadline was extended once, since no purge came in time;
 *   overdue   extended, and the deadline is near again: it must be acknowledged by itself.
 * A purge removes it in any state.
 */

/** Times are those of performance.now(). */
export interface PendingAck {
  sequence: number;
  /** Where its acknowledgement goes; replaced when the message is delivered again. */
  reply: string;
  /** When the broker's ack_wait began: at the delivery, or when it was last extended. */
  ackWaitFrom: number;
}

export interface PendingAcks {
  readonly size: number;
  add: (messages: Iterable<PendingAck>) => void;
  has: (sequence: number) => boolean;
  /** Takes the reply subject of another delivery. @returns false if the message is not pending. */
  renew: (sequence: number, reply: string, now: number) => boolean;
  /**
   * The messages that are due: to extend, done here from `now` on, and overdue, which stay until they are
   * taken.
   */
  due: (now: number) => { toExtend: PendingAck[]; overdue: PendingAck[] };
  removeThrough: (sequence: number) => void;
  /** Removes and returns those of them that are still pending. */
  take: (sequences: Iterable<number>) => PendingAck[];
  takeAll: () => PendingAck[];
}

interface TrackedAck extends PendingAck {
  state: 'waiting' | 'extended';
}

/** @param deadlineMs a message is due after this long without an extension. */
export function createPendingAcks(deadlineMs: number): PendingAcks {
  const pending = new Map<number, TrackedAck>();

  function due(now: number): { toExtend: PendingAck[]; overdue: PendingAck[] } {
    const toExtend: PendingAck[] = [];
    const overdue: PendingAck[] = [];
    for (const message of pending.values()) {
      if (now - message.ackWaitFrom < deadlineMs) continue;
      if (message.state === 'extended') overdue.push(message);
      else {
        message.state = 'extended';
        message.ackWaitFrom = now;
        toExtend.push(message);
      }
    }
    return { toExtend, overdue };
  }

  function take(sequences: Iterable<number>): PendingAck[] {
    const taken: PendingAck[] = [];
    for (const sequence of sequences) {
      const message = pending.get(sequence);
      if (message === undefined) continue;
      taken.push(message);
      pending.delete(sequence);
    }
    return taken;
  }

  return {
    get size() {
      return pending.size;
    },
    add: (messages) => {
      for (const { sequence, reply, ackWaitFrom } of messages) {
        pending.set(sequence, { sequence, reply, ackWaitFrom, state: 'waiting' });
      }
    },
    has: (sequence) => pending.has(sequence),
    renew: (sequence, reply, now) => {
      const message = pending.get(sequence);
      if (message === undefined) return false;
      message.reply = reply;
      message.ackWaitFrom = now;
      return true;
    },
    due,
    removeThrough: (sequence) => {
      for (const each of pending.keys()) if (each <= sequence) pending.delete(each);
    },
    take,
    takeAll: () => take([...pending.keys()]),
  };
}
