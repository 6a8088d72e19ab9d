/** JSON with names like those of the HTTP routes and NATS: `updated_at`, not `updatedAt`. */
export function stringifySnakeCase(answer: unknown): string {
  return JSON.stringify(answer, renamed, 2);
}

function renamed(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([name, each]) => [toSnakeCase(name), each]));
}

function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
