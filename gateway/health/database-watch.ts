import { performance } from 'node:perf_hooks';
import { sql, type Kysely } from 'kysely';
import { describeTrouble } from '../../schema/database/database-trouble.ts';
import { readParkedState, type ParkedState } from '../../schema/database/parked-state.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Reached } from '../../telemetry/diagnosis/observations.ts';

const LOOK_MS = 3_000;
/** How long a look waits for the answer. */
const ANSWER_MS_MAX = 1_000;
/** What is parked is counted anew after this time: it takes longer than to ask whether the database answers. */
const PARKED_KNOWN_MS = 10_000;

export interface DatabaseWatch {
  /** As seen three seconds ago, and a look; the first time it waits for that. */
  read: () => Promise<DatabaseState>;
  /** Undefined before the first look has ended. */
  readonly latest: DatabaseState | undefined;
  stop: () => void;
}

export interface DatabaseState extends Reached {
  /** Undefined while the database does not answer. */
  parked: ParkedState | undefined;
}

/** Looks every three seconds whether the database can be read, however many ask. */
export function watchDatabase(
  database: Kysely<Database>,
  onTrouble: (error: unknown) => void,
): DatabaseWatch {
  let latest: DatabaseState | undefined;
  let parkedReadAt = -Infinity;
  let looking: Promise<void> | undefined;
  /** In a row. */
  let silences = 0;

  /** Queries the tables themselves: a database that was never migrated can't be read. */
  async function look(): Promise<void> {
    const { promise: timeout, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(SILENCE)), ANSWER_MS_MAX).unref();
    try {
      const reading = sql`select from increments limit 0`.execute(database).then(readParked);
      latest = { state: 'answers', detail: '', parked: await Promise.race([reading, timeout]) };
      silences = 0;
    } catch (error) {
      const { kind, detail } = describeTrouble(error);
      silences = kind === 'silent' ? silences + 1 : 0;
      // One slow answer is no silence.
      if (silences === 1) return await look();
      onTrouble(error);
      latest = { state: kind, detail, parked: undefined };
    } finally {
      clearTimeout(timer);
      looking = undefined;
    }
  }

  async function readParked(): Promise<ParkedState> {
    const now = performance.now();
    if (latest?.parked !== undefined && now - parkedReadAt < PARKED_KNOWN_MS) return latest.parked;
    parkedReadAt = now;
    return readParkedState(database);
  }

  const timer = setInterval(() => void (looking ??= look()), LOOK_MS).unref();
  looking = look();
  return {
    read: async () => {
      if (latest === undefined) await (looking ??= look());
      return latest!;
    },
    get latest() {
      return latest;
    },
    stop: () => clearInterval(timer),
  };
}

const SILENCE = `no answer within ${ANSWER_MS_MAX / 1_000} s (timeout)`;
