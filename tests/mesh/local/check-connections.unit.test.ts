import t from 'tap';
import { compareConnections } from '../../../mesh/local/check-connections.ts';

const limitsOf = (limit: number) => ({
  GATEWAYS: { role: 'mesh_gateway', limit },
  COUNTERS: { role: 'mesh_counter', limit },
});

void t.test(
  'numbers of services are compared with the connections that PostgreSQL gives them',
  (t) => {
    const cases: [
      gateways: number,
      counters: number,
      limit: number,
      problems: RegExp[],
      warnings: RegExp[],
    ][] = [
      [2, 2, 38, [], []],
      [9, 9, 38, [], []],
      [
        2,
        10,
        38,
        [],
        [
          /^COUNTERS is 10, which takes 40 connections, .* mesh_counter may have 38: .* to 9 at most/,
        ],
      ],
      [39, 64, 38, [/^GATEWAYS is 39/, /^COUNTERS is 64, which takes 256/], []],
      [64, 64, -1, [], []],
    ];
    for (const [GATEWAYS, COUNTERS, limit, problems, warnings] of cases) {
      const found = compareConnections({ GATEWAYS, COUNTERS }, limitsOf(limit));
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
