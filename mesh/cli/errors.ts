/** The command line is wrong; the message says what about it. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A server can't be reached or refuses; the message says which, why and what to do. Exit code 3. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** What the user asked for does not exist or can't be done; nothing was changed. Exit code 1. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}
