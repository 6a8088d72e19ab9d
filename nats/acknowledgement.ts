/** What is published to a delivery's reply subject (ADR-15 of nats-architecture-and-design). */
export const ACK = '+ACK';
/** Not processed: deliver it again at once. */
export const NAK = '-NAK';
/** Still at work: the ack deadline begins anew. */
export const IN_PROGRESS = '+WPI';

/** Deliver it again, but not before so many milliseconds have passed. */
export function nakAfter(delayMs: number): string {
  return `${NAK} {"delay":${delayMs * 1_000_000}}`;
}
