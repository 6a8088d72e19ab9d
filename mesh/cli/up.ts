import { runMesh } from '../local/run-mesh.ts';
import { type Command } from './command.ts';

/** `up`: `npm start` with its settings as options. */
export const up: Command = {
  name: 'up',
  synopsis: '[--nats 1|3] [--gateways N] [--counters N] [--proxy]',
  summary: 'Runs a whole mesh on this machine, until Ctrl-C',
  help: `
The same as npm start; an option here overrides its variable.

  --nats 3       a NATS cluster of three servers, which keeps every message three times (NATS_NODES)
  --gateways N   number of gateways (GATEWAYS)
  --counters N   number of counter services (COUNTERS)
  --proxy        Caddy, which must be installed, in front of the gateways (PROXY=1)

Servers and proxy read the same files as in compose.yaml: nats/cluster.conf and mesh/deploy/Caddyfile.
A cluster can't read what a single server stored, nor the other way round: --nats changes only while
the streams are empty.`,
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
    // The mesh runs on, and ends the process itself.
    return new Promise<never>(() => {});
  },
};
