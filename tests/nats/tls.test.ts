import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import t from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { INCREMENTS } from '../../nats/streams.ts';
import { makeCertificates } from '../support/certificates.ts';
import { startServers } from '../support/servers.ts';
import { startCluster } from './cluster-servers.ts';

await t.test('a cluster speaks TLS with clients and neighbours, and to nobody else', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-tls-'));
  const tls = makeCertificates(join(folder, 'ours'));
  const strangers = makeCertificates(join(folder, 'strangers'));
  const cluster = await startCluster(folder, tls);
  t.teardown(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  await provision({ url: cluster.url('provisioner'), tls, replicas: 3, flushIntervalMs: 9_000 });
  const url = cluster.url('inspector');
  const inspector = await connectToNats({ url, role: 'inspector', tls });
  t.teardown(() => inspector.close());
  const manager = await jetstreamManager(inspector, { checkAPI: false });
  const { cluster: group } = await manager.streams.info(INCREMENTS);
  t.equal(group?.replicas?.length, 2, 'replicas found each other');

  const connect = (files: object) => connectToNats({ url, role: 'inspector', tls: files });
  const { caFile } = tls;
  await t.rejects(connect({ caFile }), /NATS_CERT_FILE/s, 'without a certificate');
  await t.rejects(
    connect({ ...strangers, caFile }),
    /can't connect/,
    'with a certificate of others',
  );
  await t.rejects(
    connect({ ...tls, caFile: strangers.caFile }),
    /NATS_CA_FILE/,
    'where the broker is not who it should be',
  );
  await t.rejects(connectToNats({ url: url.replaceAll('tls:', 'nats:'), role: 'inspector' }));
});

await t.test('a client that wants TLS sends no password to a broker without', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.gateway.replace('nats:', 'tls:');
  await t.rejects(connectToNats({ url, role: 'gateway' }), /the broker does not use TLS/);
});
