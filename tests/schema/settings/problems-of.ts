import type { Test } from 'tap';
import type { TObject } from 'typebox';
import { ConfigurationError, readEnvironment } from '../../../schema/settings/environment.ts';

/** What is wrong with a configuration; nothing where it can be read. */
export function problemsOf(read: () => unknown): string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

/** Checks that each number of a configuration may be as small and as large as is said, and no more. */
export function checkBounds(t: Test, config: TObject, needed: Record<string, string>): void {
  for (const [name, property] of Object.entries(config.properties)) {
    const { type, minimum, maximum } = property as {
      type?: string;
      minimum?: number;
      maximum?: number;
    };
    if (type !== 'integer') continue;
    const problems = (value: number) =>
      problemsOf(() => readEnvironment(config, { ...needed, [name]: String(value) }));
    for (const bound of [minimum ?? NaN, maximum ?? NaN]) {
      t.strictSame(problems(bound), [], `${name} may be ${bound}`);
    }
    for (const beyond of [(minimum ?? NaN) - 1, (maximum ?? NaN) + 1]) {
      t.match(problems(beyond), [new RegExp(`^${name} is `)], `${name} may not be ${beyond}`);
    }
  }
}
