import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { findNatsServer } from '../../../mesh/servers/find-nats-server.ts';
import { buildWithGo } from '../../../mesh/servers/nats-server-go.ts';
import { VERSION } from '../../../mesh/servers/nats-server-release.ts';
import type { NatsServerSource } from '../../../mesh/servers/nats-server-source.ts';

const CACHED = `nats-server-${VERSION}-${process.platform}-${process.arch}`;

/** A program that only knows its version, which is all that the search asks for. */
function fake(path: string, version: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  chmodSync(path, 0o755);
  return path;
}

const offers = (version: string): NatsServerSource => ({
  name: 'a source',
  fetch: async (destination) => void fake(destination, version),
});

const fails: NatsServerSource = {
  name: 'a broken source',
  fetch: () => Promise.reject(new Error('no network')),
};

await t.test('NATS_SERVER_BIN comes first', async (t) => {
  const folder = t.testdir();
  const named = fake(join(folder, 'mine'), '2.14.5');
  fake(join(folder, 'path', 'nats-server'), '2.15.1');
  const environment = { NATS_SERVER_BIN: named, PATH: join(folder, 'path') };
  t.equal(await findNatsServer({ environment, sources: [] }), named);
});

await t.test('a NATS_SERVER_BIN that can not be used is refused, not passed over', async (t) => {
  const folder = t.testdir({ text: 'no program' });
  const PATH = dirname(fake(join(folder, 'path', 'nats-server'), '2.15.1'));
  const search = (NATS_SERVER_BIN: string) =>
    findNatsServer({ environment: { NATS_SERVER_BIN, PATH }, sources: [] });
  await t.rejects(search(join(folder, 'absent')), { message: /which is not an executable file/ });
  await t.rejects(search(join(folder, 'text')), { message: /which is not an executable file/ });
  const old = fake(join(folder, 'old'), '2.9.10');
  await t.rejects(search(old), {
    message: /which is too old \(nats-server: v2\.9\.10, 2\.14 is needed\)/,
  });
});

await t.test('then the PATH, where an old one is passed over', async (t) => {
  const folder = t.testdir();
  fake(join(folder, 'a', 'nats-server'), '2.9.10');
  const found = fake(join(folder, 'b', 'nats-server'), '2.14.0');
  const PATH = `${join(folder, 'a')}:${join(folder, 'b')}`;
  t.equal(await findNatsServer({ environment: { PATH }, cacheFolder: folder, sources: [] }), found);
});

await t.test('then the cache', async (t) => {
  const cacheFolder = t.testdir();
  const cached = fake(join(cacheFolder, CACHED), '2.14.5');
  t.equal(await findNatsServer({ environment: {}, cacheFolder, sources: [fails] }), cached);
});

await t.test('then the sources in turn, and what they give is kept', async (t) => {
  const cacheFolder = join(t.testdir(), 'cache');
  const search = (sources: NatsServerSource[]) =>
    findNatsServer({ environment: {}, cacheFolder, sources });
  const found = await search([fails, offers('2.9.0'), offers('2.14.5')]);
  t.equal(found, join(cacheFolder, CACHED));
  t.equal(await search([]), found);
  t.strictSame(readdirSync(cacheFolder), [CACHED, `${CACHED}.sha256`]);
});

await t.test('what is in the cache is used only while it is what was fetched', async (t) => {
  const cacheFolder = join(t.testdir(), 'cache');
  const search = (sources: NatsServerSource[]) =>
    findNatsServer({ environment: {}, cacheFolder, sources });
  const cached = await search([offers('2.14.5')]);
  appendFileSync(cached, 'echo changed\n');
  await t.rejects(search([fails]), { message: /nats-server-\S+ is not what was fetched/ });
  t.equal(await search([offers('2.14.5')]), cached, 'it is fetched again');
  t.notMatch(readFileSync(cached, 'utf8'), /changed/);
});

await t.test('a cache that others can change is refused', async (t) => {
  const cacheFolder = join(t.testdir(), 'cache');
  const cached = fake(join(cacheFolder, CACHED), '2.14.5');
  const search = () => findNatsServer({ environment: {}, cacheFolder, sources: [fails] });
  for (const path of [cacheFolder, cached]) {
    chmodSync(path, 0o777);
    const message = new RegExp(`${path} can be changed by other users`);
    await t.rejects(search(), { name: 'StartError', message });
    chmodSync(path, 0o775);
  }
  t.equal(await search(), cached, 'the group can change the code too');
  if (process.getuid?.() !== 0) return;
  chownSync(cached, 12_345, 12_345);
  await t.rejects(search(), { name: 'StartError', message: /belongs to another user \(12345\)/ });
});

await t.test('Go compiles the pinned version, where it is installed', async (t) => {
  const folder = t.testdir({ bin: {} });
  const go = join(folder, 'bin', 'go');
  writeFileSync(
    go,
    `#!/bin/sh
test "$*" = "install github.com/nats-io/nats-server/v2@v${VERSION}" || exit 1
printf '#!/bin/sh\\necho "nats-server: v${VERSION}"\\n' > "$GOBIN/nats-server"
chmod +x "$GOBIN/nats-server"
`,
  );
  chmodSync(go, 0o755);
  const { PATH } = process.env;
  t.teardown(() => (process.env.PATH = PATH));
  const cacheFolder = join(folder, 'cache');
  const search = () => findNatsServer({ environment: {}, cacheFolder, sources: [buildWithGo] });
  process.env.PATH = folder;
  await t.rejects(search(), { message: /the Go module \S+ of nats-server: go: spawn go ENOENT/ });
  process.env.PATH = `${dirname(go)}:${PATH}`;
  t.equal(await search(), join(cacheFolder, CACHED));
});

await t.test('a search in vain says all that was tried and what helps', async (t) => {
  const folder = t.testdir();
  const PATH = dirname(fake(join(folder, 'path', 'nats-server'), '2.9.10'));
  const search = findNatsServer({ environment: { PATH }, cacheFolder: folder, sources: [fails] });
  const { message } = await search.then(
    () => Promise.reject(new Error('found one')),
    (error: Error) => error,
  );
  t.notMatch(message, /\n/, 'one line');
  t.match(message, /path\/nats-server is too old/);
  t.match(message, /a broken source: no network/);
  for (const way of ['NATS_SERVER_BIN', 'NATS_URL', 'PATH', 'docker compose'])
    t.match(message, way);
});
