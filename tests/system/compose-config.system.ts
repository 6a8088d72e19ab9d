import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { findDebianProgram } from './debian-program.ts';

interface Config {
  name: string;
  networks: Record<string, { ipam: { config?: { subnet: string }[] } }>;
  services: Record<
    string,
    {
      depends_on?: Record<string, unknown>;
      deploy?: { replicas?: number };
      command: string[];
      environment: Record<string, string>;
      ports?: { host_ip: string; published: string }[];
    }
  >;
}

const compose = await findDebianProgram(
  'docker-compose',
  'usr/libexec/docker/cli-plugins/docker-compose',
);

/** As compose itself understands the files, which needs no engine. */
async function config(...files: string[]): Promise<Config> {
  return configWith({}, ...files);
}

async function configWith(variables: NodeJS.ProcessEnv, ...files: string[]): Promise<Config> {
  const args = [...files.flatMap((file) => ['-f', file]), 'config', '--format', 'json'];
  const env = { ...process.env, ...variables };
  const { stdout, stderr } = await promisify(execFile)(compose, args, { cwd: ROOT, env });
  t.equal(stderr, '', 'without a warning');
  return JSON.parse(stdout) as Config;
}

await t.test('compose accepts compose.yaml', async (t) => {
  const { name, services } = await config('compose.yaml');
  t.equal(name, 'increment-mesh');
  t.equal(services['gateway']?.deploy?.replicas, 3);
  t.equal(services['counter']?.deploy?.replicas, 2);
  t.same(
    Object.keys(services).filter((service) => service.startsWith('nats')),
    ['nats-1', 'nats-2', 'nats-3'],
    'three brokers; the CLI only when it is asked for',
  );
});

await t.test('with the profile `traces` there is Jaeger, for both projects', async (t) => {
  t.notOk('jaeger' in (await config('compose.yaml')).services);
  const on = { COMPOSE_PROFILES: 'traces', OTEL_TRACES_EXPORTER: 'otlp' };
  for (const files of [['compose.yaml'], ['compose.yaml', 'compose.one.yaml']]) {
    const { services } = await configWith(on, ...files);
    t.match(services['jaeger']?.ports, [{ host_ip: '127.0.0.1', published: '16686' }]);
    t.equal(services['gateway']?.environment['OTEL_TRACES_EXPORTER'], 'otlp');
    t.equal(services['counter']?.environment['OTEL_TRACES_EXPORTER'], 'otlp');
  }
});

await t.test(
  'both projects can run at once, each with a network of its own for its proxy',
  async (t) => {
    const configs = [
      await config('compose.yaml'),
      await config('compose.yaml', 'compose.one.yaml'),
    ];
    const subnets = configs.map(({ networks, services }) => {
      const subnet = networks['front']?.ipam.config?.map((one) => one.subnet);
      t.same(subnet, [services['gateway']?.environment['TRUST_PROXY']]);
      return subnet?.[0];
    });
    t.not(subnets[0], subnets[1]);
  },
);

await t.test('with compose.one.yaml it is one of each, in a project of its own', async (t) => {
  const { name, services } = await config('compose.yaml', 'compose.one.yaml');
  t.equal(name, 'increment-mesh-one', 'so that it never opens the store of a cluster');
  t.equal(services['gateway']?.deploy?.replicas, 1);
  t.equal(services['counter']?.deploy?.replicas, 1);
  // Not by the option `-m`, which opens the port of the monitor to all other containers.
  t.same(services['nats-1']?.command, ['nats-server', '-c', '/etc/nats/monitored.conf']);
  t.equal(services['nats-1']?.environment['NATS_MONITOR_LISTEN'], '127.0.0.1:8222');
  for (const [service, { depends_on = {} }] of Object.entries(services)) {
    for (const needed of Object.keys(depends_on)) {
      t.ok(needed in services, `${service} waits for ${needed}, which is there`);
    }
  }
});
