/** What is published to a delivery's reply subject (ADR-15 of nats-architecture-and-design). */
export const ACK = '+ACK';
/** Not processed: deliver it again at once. */
export const NAK = '-NAK';
/** Still in progress: restarts the ack deadline. */
export const IN_PROGRESS = '+WPI';

/** Deliver it again, after this delay at the earliest. */
export function nakAfter(delayMs: number): string {
  return `${NAK} {"delay":${delayMs * 1_000_000}}`;
}
