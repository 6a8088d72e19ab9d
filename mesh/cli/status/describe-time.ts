/** `2026-11-27 09:30:00 UTC`, of a time or of its text in ISO 8601. */
export function describeTime(time: Date | string): string {
  const text = typeof time === 'string' ? time : time.toISOString();
  return `${text.replace('T', ' ').slice(0, 19)} UTC`;
}
