import { type Static, type TObject, type TSchema } from 'typebox';
import { Value } from 'typebox/value';

/** Thrown once with every problem of the environment, so that one restart repairs them all. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: string[];

  constructor(problems: string[]) {
    super(`the configuration has ${problems.length} problem(s):\n  ${problems.join('\n  ')}`);
    this.problems = problems;
  }
}

/**
 * Reads the variables that a schema names, each property being one environment variable.
 *
 * An absent or empty variable takes the schema's default. Numbers must be plain decimal integers: "10s",
 * "1e3" and " 5" are refused. Variables that the schema does not name are ignored, since the environment is
 * shared with other programs.
 *
 * @throws ConfigurationError naming each variable, the value found and what it should be.
 */
export function readEnvironment<Schema extends TObject>(
  schema: Schema,
  environment: NodeJS.ProcessEnv,
): Static<Schema> {
  const problems: string[] = [];
  const settings: Record<string, unknown> = {};

  for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
    const text = environment[name];
    if (text === undefined || text === '') {
      const fallback = (property as { default?: unknown }).default;
      if (fallback !== undefined) settings[name] = fallback;
      else if (schema.required?.includes(name))
        problems.push(`${name} is not set. ${about(property)}`);
      continue;
    }
    const value = parseSetting(property, text);
    const [fault] = Value.Errors(property, value);
    if (fault === undefined) settings[name] = value;
    // A setting's own check explains its fault; patterns and ranges are explained here.
    else if (fault.keyword === '~refine') {
      problems.push(`${name} is ${show(name, text)}: ${fault.message}. ${about(property)}`);
    } else problems.push(`${name} is ${show(name, text)}${rule(property)}. ${about(property)}`);
  }

  if (problems.length > 0) throw new ConfigurationError(problems);
  return settings as Static<Schema>;
}

/** Reads both, and throws what is wrong with either together. */
export function readBoth<First, Second>(
  readFirst: () => First,
  readSecond: () => Second,
): [First, Second] {
  const problems: string[] = [];
  const read = <Settings>(readOne: () => Settings): Settings | undefined => {
    try {
      return readOne();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const both = [read(readFirst), read(readSecond)];
  if (problems.length > 0) throw new ConfigurationError(problems);
  return both as [First, Second];
}

function parseSetting(property: TSchema, text: string): unknown {
  const isInteger = (property as Described).type === 'integer';
  return isInteger && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

interface Described {
  description?: string;
  type?: string;
  enum?: unknown[];
  const?: string;
  minimum?: number;
  maximum?: number;
}

function about(property: TSchema): string {
  return (property as Described).description ?? 'See docs/configuration.md';
}

function rule(property: TSchema): string {
  const { type, enum: choices, const: only, minimum, maximum } = property as Described;
  if (only !== undefined) return `, and must be ${only} or left out`;
  if (choices !== undefined) return `, and must be ${choices.join(' or ')}`;
  if (type === 'integer') return `, and must be an integer from ${minimum} to ${maximum}`;
  return '';
}

/** A value that may contain a password is not shown. */
function show(name: string, text: string): string {
  return /(URL|ENDPOINT|PASSWORD|TOKEN|SECRET)$/.test(name)
    ? 'not understood'
    : JSON.stringify(text);
}
