import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';

/** Of the stream's incarnation: every sequence up to the floor is settled; the last one is, too. */
export interface SettledThrough {
  incarnation: number;
  floor: number;
  lastSettled: number;
}

/** How many increments the ledger says are counted, ever. */
export interface CountedIncrements {
  /**
   * Reads what was settled since the last time, and everything the first time. It is exact where all up to the
   * last settled message is settled, but for messages that were parked, which are in it once it is read anew.
   *
   * @returns undefined before everything was read.
   */
  read: (settled: SettledThrough) => Promise<bigint | undefined>;
  /** Lets the next reading be one of everything: some seconds for a large ledger. */
  readAnew: () => void;
}

/** What the ledger has up to the floor, and before in former streams and pruned rows. */
interface Base {
  incarnation: number;
  floor: number;
  increments: bigint;
}

export function createCountedIncrements(db: Kysely<Database>): CountedIncrements {
  let base: Base | undefined;
  let isDue = false;
  let counted: bigint | undefined;
  let readOf: SettledThrough | undefined;

  /** A database that went back must not let it go back. */
  function atLeast(increments: bigint): bigint {
    return (counted = counted === undefined || increments > counted ? increments : counted);
  }

  async function read(settled: SettledThrough): Promise<bigint | undefined> {
    const { incarnation, floor, lastSettled } = settled;
    if (isDue) {
      isDue = false;
      const { through, above } = await readAll(db, settled);
      base = { incarnation, floor, increments: through };
      return atLeast(through + above);
    }
    if (base === undefined || base.incarnation !== incarnation || floor < base.floor)
      return counted;
    // What other counter services settle between the two shows once one of them moves.
    if (floor === readOf?.floor && lastSettled === readOf.lastSettled) return counted;
    const { through, above, prunedThrough } = await readSince(db, base, floor);
    readOf = settled;
    // Some of these rows may have been pruned meanwhile, so they are missed here until all is read anew.
    if (prunedThrough > base.floor) base = undefined;
    else {
      base = { incarnation, floor, increments: base.increments + through };
      return atLeast(base.increments + above);
    }
    return counted;
  }

  return {
    read,
    readAnew: () => {
      isDue = true;
    },
  };
}

async function readAll(
  db: Kysely<Database>,
  { incarnation, floor }: SettledThrough,
): Promise<{ through: bigint; above: bigint }> {
  const { rows } = await sql<{ through: string; above: string }>`
    select (select coalesce(sum(carried_increments), 0) from streams)
        + coalesce(sum(increments) filter (where not above), 0) as through,
      coalesce(sum(increments) filter (where above), 0) as above
    from (select increments, incarnation = ${incarnation} and sequence > ${floor} as above
      from ledger) as rows`.execute(db);
  return { through: BigInt(rows[0]!.through), above: BigInt(rows[0]!.above) };
}

async function readSince(
  db: Kysely<Database>,
  { incarnation, floor: from }: Base,
  floor: number,
): Promise<{ through: bigint; above: bigint; prunedThrough: number }> {
  const { rows } = await sql<{ through: string; above: string; pruned: string | null }>`
    select coalesce(sum(increments) filter (where sequence <= ${floor}), 0) as through,
      coalesce(sum(increments) filter (where sequence > ${floor}), 0) as above,
      (select pruned_through from streams where incarnation = ${incarnation}) as pruned
    from ledger where incarnation = ${incarnation} and sequence > ${from}`.execute(db);
  const { through, above, pruned } = rows[0]!;
  return {
    through: BigInt(through),
    above: BigInt(above),
    prunedThrough: Number(pruned ?? 0),
  };
}
