/*
 * Whether PostgreSQL takes what a flush writes, and if not, why. Two tell it:
 *   a flush    its commit proves that PostgreSQL does; an attempt that fails again says why it does not;
 *   a probe    where no commit has proven it of late: writes as a flush does, and takes that back.
 * A probe may pass where a flush does not, as at a counter that somebody keeps locked. So what a flush says
 * stands until it commits or is given up.
 */
import { performance } from 'node:perf_hooks';
import { sql, type Kysely } from 'kysely';
import { describeTrouble, type DatabaseTrouble } from '../../schema/database/database-trouble.ts';
import { EarlierSchema } from '../../schema/database/schema-version.ts';
import type { Database } from '../../schema/database/tables.ts';
import { DATABASE_FINDINGS } from '../../telemetry/diagnosis/diagnose.ts';
import { describeFinding, findingOf } from '../../telemetry/diagnosis/findings.ts';
import type { Log } from '../../telemetry/log.ts';
import { isDataError } from '../flush/database-error.ts';
import { probeWrites } from '../flush/probe-writes.ts';
import { checkDurability, UnsafeDatabase } from '../startup/check-database.ts';
import type { Stats } from '../telemetry/stats.ts';

/** How long a commit or a probe proves that PostgreSQL takes writes. */
const PROVEN_MS = 3_000;
/** Together with PROVEN_MS and the second between two heartbeats, about six. */
const ANSWER_MS_MAX = 1_500;
const ANY_ANSWER_MS_MAX = 500;
/** How often it is tried again while it takes none. */
const AWAY_MS = 1_000;
const LOOK_MS = 500;
const TICK_MS = 100;
const DETAIL_LENGTH_MAX = 300;

export interface DatabaseHealth {
  /** Whether PostgreSQL is known to take no writes. */
  readonly isAway: boolean;
  /** A flush was committed. */
  committed: () => void;
  /** An attempt of a flush has failed, not because of what it writes; the next one follows. */
  flushFailed: (error: unknown) => void;
  /** The flush is over, whether committed or given up. */
  flushEnded: () => void;
  /**
   * Looks whether writes are taken; one look at a time.
   *
   * @throws the error of the look, once it is reported.
   */
  probe: (look: () => Promise<void>) => Promise<void>;
  /** Looks by itself where nothing has proven it, until it is stopped. */
  watch: () => void;
  stop: () => void;
}

export interface DatabaseHealthOptions {
  database: Kysely<Database>;
  /** By whom a missing right is missed. */
  user: string;
  stats: Pick<Stats, 'databaseProblem'>;
  log: Log;
}

export function createDatabaseHealth(options: DatabaseHealthOptions): DatabaseHealth {
  const { database, user, stats, log } = options;
  /** Each kind is said once until all is over. */
  const said = new Set<DatabaseTrouble['kind']>();
  let provenAt = -Infinity;
  let probedAt = -Infinity;
  let isFlushFailing = false;
  /** May outlast the time that it is waited for. */
  let looking: Promise<void> | undefined;
  let isProbing = false;
  let timer: NodeJS.Timeout | undefined;

  async function probe(look: () => Promise<void>): Promise<void> {
    isProbing = true;
    try {
      looking ??= look().finally(() => (looking = undefined));
      const isAnswered = await answers(looking, ANSWER_MS_MAX);
      if (isAnswered && !isFlushFailing) succeeded();
      // A server that takes its time over a write is slow; one that answers nothing is silent.
      if (!isAnswered && !(await answers(sql`select 1`.execute(database), ANY_ANSWER_MS_MAX))) {
        throw new Error(SILENCE);
      }
    } catch (error) {
      failed(error);
      throw error;
    } finally {
      probedAt = performance.now();
      isProbing = false;
    }
  }

  function watchOnce(): void {
    const now = performance.now();
    const isAway = stats.databaseProblem !== undefined;
    const since = isAway ? probedAt : Math.max(provenAt, probedAt);
    if (isProbing || now - since < (isAway ? AWAY_MS : PROVEN_MS)) return;
    const look = () => (isAway ? checkDatabase(database) : tryWrites(database));
    // It is reported.
    probe(look).catch(() => undefined);
  }

  function succeeded(): void {
    provenAt = performance.now();
    isFlushFailing = false;
    if (stats.databaseProblem === undefined) return;
    stats.databaseProblem = undefined;
    said.clear();
    log.info('PostgreSQL takes writes again');
  }

  function failed(error: unknown): void {
    const trouble = troubleOf(error, user);
    stats.databaseProblem = trouble;
    if (said.has(trouble.kind)) return;
    said.add(trouble.kind);
    const found = findingOf(DATABASE_FINDINGS[trouble.kind], { evidence: trouble.detail });
    log.error(describeFinding(found));
  }

  return {
    get isAway() {
      return stats.databaseProblem !== undefined;
    },
    committed: succeeded,
    flushFailed: (error) => {
      isFlushFailing = true;
      failed(error);
    },
    flushEnded: () => {
      isFlushFailing = false;
    },
    probe,
    watch: () => {
      timer = setInterval(watchOnce, LOOK_MS).unref();
    },
    stop: () => clearInterval(timer),
  };
}

/** Does what a flush does, on a server that keeps it. */
export async function checkDatabase(database: Kysely<Database>): Promise<void> {
  await checkDurability(database);
  await tryWrites(database);
}

/** That it refuses a value of the probe means nothing for other values. */
async function tryWrites(database: Kysely<Database>): Promise<void> {
  await probeWrites(database).catch((error: unknown) => {
    if (!isDataError(error)) throw error;
  });
}

function troubleOf(error: unknown, user: string): DatabaseTrouble {
  if (error instanceof UnsafeDatabase || error instanceof EarlierSchema) {
    return { kind: 'refuses', detail: error.message.slice(0, DETAIL_LENGTH_MAX) };
  }
  return describeTrouble(error, user);
}

/**
 * Whether an answer comes in time; its error is thrown. Counted in ticks: a process that was busy itself has not
 * waited for an answer.
 */
async function answers(answer: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const { promise: isTooLate, resolve } = Promise.withResolvers<false>();
  let waitedMs = 0;
  const timer = setInterval(() => {
    waitedMs += TICK_MS;
    if (waitedMs >= timeoutMs) resolve(false);
  }, TICK_MS);
  try {
    return await Promise.race([answer.then(() => true), isTooLate]);
  } finally {
    clearInterval(timer);
  }
}

const SILENCE = `no answer within ${(ANSWER_MS_MAX + ANY_ANSWER_MS_MAX) / 1_000} s (timeout)`;
