import type { RouteOptions } from 'fastify';
import { PROBLEMS, type ProblemCode } from '../../schema/http/problem.ts';
import type { Stats } from './stats.ts';

/** Of every route, besides those that it names itself. */
const OF_EVERY_ROUTE: ProblemCode[] = ['invalid-request', 'bad-request', 'internal-error'];
const OF_AUTHENTICATION: ProblemCode[] = ['unauthorized', 'forbidden'];
/** Of a gateway without it. */
const OF_FOREIGN_PAGES: ProblemCode[] = ['cross-origin', 'misdirected'];
/** Requests that never get a route; of most of them the method is not known. */
const WITHOUT_ROUTE: [method: string, status: number][] = [
  ['GET', 404],
  ['POST', 404],
  ['GET', 414],
  ['POST', 414],
  ['', 400],
  ['', 408],
  ['', 431],
];

/**
 * Gives each answer of a documented route its series, with 0: a rate shows the first error only if it has
 * seen the series without it.
 *
 * @returns Fastify's hook for routes.
 */
export function expectAnswers(stats: Pick<Stats, 'expect'>, options: { hasKeys: boolean }) {
  const guards = options.hasKeys ? OF_AUTHENTICATION : OF_FOREIGN_PAGES;
  for (const [method, status] of WITHOUT_ROUTE) stats.expect(undefined, method, status);

  return ({ url, method, schema, config }: RouteOptions): void => {
    // Fastify adds HEAD to each GET; nothing documented uses it.
    if (schema?.summary === undefined || method === 'HEAD') return;
    const codes = [...OF_EVERY_ROUTE, ...guards, ...(config?.problems ?? [])];
    const good = Object.keys(schema.response ?? {}).map(Number);
    const statuses = new Set([...good, ...codes.map((code) => PROBLEMS[code].status)]);
    for (const one of [method].flat()) {
      for (const status of statuses) stats.expect(url, one, status);
    }
  };
}
