/** Thrown with all that keeps a database from being used; waiting would not help. */
export class PreflightFailed extends Error {
  override readonly name = 'PreflightFailed';
  readonly problems: string[];

  /** @param problems each with the user that has it, the SQLSTATE if there is one, and what to do. */
  constructor(problems: string[]) {
    super(
      `PostgreSQL can't be used as it is, ${problems.length} problem(s):\n  ${problems.join('\n  ')}`,
    );
    this.problems = problems;
  }
}
