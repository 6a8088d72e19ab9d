import { Readable } from 'node:stream';
import { ProblemError, stopping } from '../errors/problem-details.ts';
import type { DatabaseReads } from './database-reads.ts';

/** Half of a gateway's connections to PostgreSQL: the others are for reads of single counters. */
const STREAMS_MAX = 2;
/** A snapshot keeps PostgreSQL from removing old rows. */
const STREAM_MS_MAX = 10 * 60_000;

type Lines = AsyncGenerator<string, void, undefined>;

export interface CounterStreams {
  /**
   * A stream of what `readLines` gives, taken only as fast as its reader reads. It breaks off without its last
   * line where the reader is gone, PostgreSQL fails, the gateway stops or the time is over.
   *
   * @param mayRead asked before each chunk; where it says no, the stream breaks off.
   * @throws ProblemError if too many are under way, the gateway stops or PostgreSQL does not answer.
   */
  open: (readLines: () => Lines, mayRead?: () => boolean) => Promise<Readable>;
  /** Breaks all of them off. */
  stop: () => void;
}

export function createCounterStreams(reads: DatabaseReads): CounterStreams {
  const streams = new Set<Readable>();
  let underWay = 0;
  let isStopped = false;

  async function open(readLines: () => Lines, mayRead = () => true): Promise<Readable> {
    if (isStopped) throw stopping();
    if (underWay >= STREAMS_MAX) {
      const detail = `${STREAMS_MAX} clients already read all counters through this gateway; retry later.`;
      throw new ProblemError('too-many-waiting', detail);
    }
    underWay += 1;
    const lines = readLines();
    const end = () => void lines.return().finally(() => (underWay -= 1));
    try {
      // Before the answer begins, so that a database that is away is a 503.
      const first = await reads.read(() => lines.next());
      if (isStopped) throw stopping();
      return start(first, { lines, mayRead, end });
    } catch (error) {
      end();
      throw error;
    }
  }

  function start(
    first: IteratorResult<string, void>,
    { lines, mayRead, end }: { lines: Lines; mayRead: () => boolean; end: () => void },
  ): Readable {
    let next: Promise<IteratorResult<string, void>> | undefined = Promise.resolve(first);
    const stream = new Readable({
      // One chunk waits here, and the next one is fetched when that is taken.
      highWaterMark: 1,
      read: () => {
        if (!mayRead()) {
          stream.destroy();
          return;
        }
        const taken = next ?? reads.read(() => lines.next());
        next = undefined;
        taken.then(
          ({ done, value }) => stream.push(done === true ? null : value),
          (error: Error) => stream.destroy(error),
        );
      },
      destroy: (error, done) => {
        clearTimeout(timer);
        streams.delete(stream);
        end();
        done(error);
      },
    });
    const timer = setTimeout(() => stream.destroy(), STREAM_MS_MAX).unref();
    streams.add(stream);
    return stream;
  }

  return {
    open,
    stop: () => {
      isStopped = true;
      for (const stream of streams) stream.destroy();
    },
  };
}
