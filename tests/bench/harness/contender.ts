import type { LoadShape, Sent } from './load.ts';
import type { Scope } from './scope.ts';

/** Something that increments can be posted to. */
export interface Contender {
  name: string;
  /** One line of Markdown: what it does, and what a 200 of it means. */
  about: string;
  /** What its load has otherwise than the others'. */
  load?: Partial<LoadShape>;
  /** Who sends it, where that is not wrk. */
  send?: (url: string, shape: LoadShape) => Promise<Sent>;
  /** Why it can't run here; undefined where it can. */
  missing?: () => Promise<string | undefined>;
  start: (scope: Scope, options: StartOptions) => Promise<Running>;
}

export interface StartOptions {
  /** Empty, and removed after the run. */
  folder: string;
  /** Where Node writes CPU profiles, if anywhere. */
  profileFolder: string | undefined;
}

export interface Running {
  /** Without a path. */
  url: string;
  processes: MeasuredProcess[];
  /**
   * Awaits that what was sent is stored and compares it with what the store has.
   *
   * @throws WrongSums
   */
  check: (sent: Sent[]) => Promise<Checked>;
  /** What each store has done to its disk since it started, where that is known. */
  readDisk?: () => Promise<Record<string, DiskUse>>;
}

export interface DiskUse {
  /** How often it made sure that the disk has everything. */
  syncs: number;
  /**
   * As the store itself counts. The kernel's figure for a process is too high where a file is
   * overwritten in place: it counts the whole of a large page for a few bytes.
   */
  writtenMib?: number;
}

export interface MeasuredProcess {
  name: string;
  pid: number;
  /** PostgreSQL has a process for each connection. */
  isFamily?: boolean;
  /** It answers HTTP: a gateway, or what stands in its place. */
  servesHttp?: boolean;
}

export interface Checked {
  /** What was compared, in a few words. */
  what: string;
  /** Seconds, where the contender has such a thing. */
  stalenessSeconds?: number;
}

/** Raised where a store does not have what was sent: its figures mean nothing. */
export class WrongSums extends Error {
  override readonly name = 'WrongSums';
}
