import { runMesh } from '../local/run-mesh.ts';
import { EXIT, type Command } from './command.ts';

/** `up`: `npm start` with its settings as options. */
export const up: Command = {
  name: 'up',
  synopsis: '[--nats 1|3] [--gateways N] [--counters N] [--proxy]',
  summary: 'Runs a whole mesh on this machine, until Ctrl-C',
  help: `
The same as npm start, and the same settings win as there: an option here goes before its variable.

  --nats 3       a NATS cluster of three servers, which keep every message three times (NATS_NODES)
  --gateways N   how many gateways (GATEWAYS)
  --counters N   how many counters (COUNTERS)
  --proxy        Caddy, which must be installed, before the gateways (PROXY=1)

Servers and proxy read the files that compose.yaml gives them: nats/cluster.conf, mesh/deploy/Caddyfile.
One server's data can't be read by three nor the other way round, so a data folder keeps to what it
was started with, unless its streams are empty.`,
  options: {
    nats: { type: 'string' },
    gateways: { type: 'string' },
    counters: { type: 'string' },
    proxy: { type: 'boolean' },
  },
  run: async ({ options, terminal }) => {
    const given: Record<string, string | boolean | undefined> = {
      NATS_NODES: options['nats'],
      GATEWAYS: options['gateways'],
      COUNTERS: options['counters'],
      PROXY: options['proxy'] === true ? '1' : undefined,
    };
    const chosen = Object.entries(given)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value)]);
    await runMesh({ ...terminal.environment, ...Object.fromEntries(chosen) });
    return EXIT.fine;
  },
};
