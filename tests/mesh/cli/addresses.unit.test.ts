import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findAddresses } from '../../../mesh/cli/addresses.ts';
import { takeStreamName } from '../../../mesh/cli/take-stream-name.ts';
import { identifyProcess } from '../../../mesh/servers/processes.ts';
import { makeFolder } from '../../support/folders.ts';

const MESH = {
  gateways: [],
  proxy: null,
  counters: [],
  nats: [{ pid: null, url: 'nats://of-the-mesh' }],
  postgres: { pid: null, url: 'postgres://of-the-mesh' },
};

const folder = makeFolder(t);
writeFileSync(join(folder, 'mesh.json'), JSON.stringify({ ...MESH, stream: 'STAGING' }));

function find(given: Partial<Parameters<typeof findAddresses>[0]>) {
  return findAddresses({
    natsUrl: undefined,
    natsAccess: {},
    streamName: 'INCREMENTS',
    databaseUrl: undefined,
    databaseSchema: 'increment_mesh',
    dataDir: folder,
    ...given,
  });
}

void t.test("a command acts on the stream of the data folder's mesh", (t) => {
  const taken = (args: string[], given: NodeJS.ProcessEnv) => {
    const environment: NodeJS.ProcessEnv = { DATA_DIR: folder, ...given };
    takeStreamName(args, environment);
    return environment['STREAM_NAME'];
  };
  t.equal(taken(['status'], {}), 'STAGING');
  t.equal(taken(['status'], { STREAM_NAME: 'OTHER' }), 'OTHER');
  for (const args of [
    ['replicas', '--nats-url', 'nats://other'],
    ['x', '--nats-url=nats://other'],
  ])
    t.equal(taken(args, {}), undefined, 'other brokers');
  t.equal(taken(['status'], { NATS_URL: 'nats://other' }), undefined);
  t.equal(taken(['status'], { DATA_DIR: join(folder, 'none') }), undefined);
  t.equal(find({ streamName: 'STAGING' }).nats('inspector'), 'nats://of-the-mesh');
  t.end();
});

void t.test("a command for another stream than that of the data folder's mesh is refused", (t) => {
  const refusal = {
    name: 'Refusal',
    message:
      /^the stream of the mesh on .* is STAGING, and this command's is INCREMENTS: set STREAM_NAME=STAGING/,
  };
  t.throws(() => find({}).nats('inspector'), refusal);
  t.throws(() => find({}).database, refusal);
  t.throws(() => find({ natsUrl: 'nats://other' }).database, refusal, 'one of both servers');
  t.equal(find({ natsUrl: 'nats://other' }).nats('inspector'), 'nats://other');
  writeFileSync(join(folder, 'mesh.json'), JSON.stringify(MESH));
  t.equal(find({}).database, 'postgres://of-the-mesh', "an earlier version's file has no name");
  t.end();
});

void t.test('after a power cut no mesh runs, whatever mesh.json says', (t) => {
  const left = makeFolder(t);
  writeFileSync(join(left, 'mesh.json'), JSON.stringify(MESH));
  const own = identifyProcess(process.pid)!;
  for (const [owner, isGone] of [
    [`${process.pid} 1 an-earlier-boot`, true],
    ['4194305 1 an-earlier-boot', true],
    [own, false],
    [`${own} cleanup`, false],
  ] as const) {
    writeFileSync(join(left, 'lock'), owner);
    const { mesh, nats } = find({ dataDir: left });
    t.equal(mesh === undefined, isGone, owner);
    const look = () => nats('inspector');
    if (isGone) t.throws(look, { name: 'NoAnswer', message: /^no mesh runs on / });
    else t.doesNotThrow(look);
  }
  t.end();
});
