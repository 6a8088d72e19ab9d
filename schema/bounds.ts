/** What is promised: the age of the oldest increment that is not committed. */
export const STALENESS_MS_MAX = 10_000;

/** How far a machine's clock may differ from the broker's: smaller differences are usual, and harmless. */
export const CLOCK_AHEAD_MS_MAX = 2_000;
