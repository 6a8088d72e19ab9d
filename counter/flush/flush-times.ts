/** How long a flush took, and how old what it added was. */
export interface FlushTimes {
  durationMs: number;
  /** Infinite if the flush added nothing. */
  stalenessMs: number;
}
