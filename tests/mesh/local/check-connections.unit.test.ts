import t from 'tap';
import { compareConnections } from '../../../mesh/local/check-connections.ts';

const LIMITS = { mesh_gateway: 38, mesh_counter: 38 };

void t.test(
  'numbers of services are compared with the connections that PostgreSQL gives them',
  (t) => {
    const cases: [
      gateways: number,
      counters: number,
      limits: object,
      problems: RegExp[],
      warnings: RegExp[],
    ][] = [
      [2, 2, LIMITS, [], []],
      [9, 9, LIMITS, [], []],
      [
        2,
        10,
        LIMITS,
        [],
        [
          /^COUNTERS is 10, which takes 40 connections, .* mesh_counter may have 38: .* to 9 at most/,
        ],
      ],
      [39, 64, LIMITS, [/^GATEWAYS is 39/, /^COUNTERS is 64, which takes 256/], []],
      [64, 64, { mesh_gateway: -1, mesh_counter: -1 }, [], []],
    ];
    for (const [GATEWAYS, COUNTERS, limits, problems, warnings] of cases) {
      const found = compareConnections({ GATEWAYS, COUNTERS }, limits as typeof LIMITS);
      const name = `${GATEWAYS} gateways and ${COUNTERS} counter services`;
      t.match(found, { problems, warnings }, name);
      t.same(
        [found.problems.length, found.warnings.length],
        [problems.length, warnings.length],
        name,
      );
    }
    t.end();
  },
);
