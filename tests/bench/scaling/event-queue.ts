export interface SimulatedEvent {
  at: number;
  run: (at: number) => void;
}

export interface EventQueue {
  add: (at: number, run: (at: number) => void) => void;
  /** The earliest; of those at one time, any. Undefined where there is none. */
  next: () => SimulatedEvent | undefined;
}

/** A binary heap. */
export function createEventQueue(): EventQueue {
  const heap: SimulatedEvent[] = [];

  function add(at: number, run: (at: number) => void): void {
    let place = heap.length;
    for (let parent = (place - 1) >> 1; place > 0 && heap[parent]!.at > at;) {
      heap[place] = heap[parent]!;
      place = parent;
      parent = (place - 1) >> 1;
    }
    heap[place] = { at, run };
  }

  function next(): SimulatedEvent | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let place = 0;
    for (let child = 1; child < heap.length; child = 2 * place + 1) {
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }

  return { add, next };
}
