import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { makeKeys, untilCounted } from '../support/counters.ts';
import { makeFolder } from '../support/folders.ts';
import { send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { findNpmTools, findPythonTools, run } from './api-tools.ts';

const TSC = fileURLToPath(new URL('../../node_modules/.bin/tsc', import.meta.url));
const TYPES = fileURLToPath(new URL('../../node_modules/@types', import.meta.url));
/** 2^53+1, which a double can't have. */
const EXACT = 9_007_199_254_740_993n;

const TYPESCRIPT_CLIENT = `import { client } from './client/client.gen';
import { increment } from './client/sdk.gen';
const [url, key] = process.argv.slice(2) as [string, string];
client.setConfig({ baseUrl: url });
void increment({ body: { key, value: '${EXACT}' } }).then(({ data, error }) => {
  if (data === undefined) throw new Error(error?.code);
  const accepted: number = data.accepted;
  console.log(accepted);
});
`;
const PYTHON_CLIENT = `import sys, uuid
from increment_mesh_client import Client
from increment_mesh_client.api.increments import increment
from increment_mesh_client.models import Accepted, Increment
client = Client(base_url=sys.argv[1])
answer = increment.sync(client=client, body=Increment(key=uuid.UUID(sys.argv[2]), value="${EXACT}"))
assert isinstance(answer, Accepted), answer
print(answer.accepted)
`;

t.setTimeout(600_000);

await t.test('the OpenAPI document is of use to programs of others', async (t) => {
  const npm = await findNpmTools().catch((error: Error) => error);
  if (npm instanceof Error) {
    t.pass(`linters and generators can't be had: ${npm.message}`, { skip: true });
    return;
  }
  const folder = makeFolder(t);
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers);
  const keys = join(folder, 'keys.json');
  writeFileSync(keys, '{"keys":[]}');
  const closed = await startGateway(t, servers, { API_KEYS_FILE: keys });
  await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const documents = await Promise.all(
    Object.entries({ open: gateway, closed }).map(async ([name, { url }]) => {
      const file = join(folder, `${name}.json`);
      writeFileSync(file, (await send(`${url}/openapi.json`)).body);
      return file;
    }),
  );
  const document = documents[0]!;

  await t.test('linters find nothing in it, with API keys and without', async (t) => {
    const rules = join(folder, 'spectral.json');
    writeFileSync(rules, '{"extends":["spectral:oas"]}');
    const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
    for (const file of documents) {
      const redocly = ['lint', '--extends=recommended', '--format=json', file];
      const found = JSON.parse(await run(join(npm, 'redocly'), redocly, { cwd: folder, env })) as {
        problems: unknown[];
      };
      t.strictSame(found.problems, []);
    }
    const spectral = ['lint', '--quiet', '--format=json', '--fail-severity=hint', '-r', rules];
    t.match(await run(join(npm, 'spectral'), [...spectral, ...documents]), /^\s*\[\]/);
  });

  await t.test('a generated TypeScript client compiles and counts exactly', async (t) => {
    const client = join(folder, 'typescript');
    mkdirSync(client);
    await run(join(npm, 'openapi-ts'), ['-i', document, '-o', join(client, 'client')], {
      cwd: client,
    });
    writeFileSync(join(client, 'package.json'), '{"type":"commonjs"}');
    writeFileSync(join(client, 'main.ts'), TYPESCRIPT_CLIENT);
    const target = ['--target', 'es2023', '--module', 'commonjs', '--ignoreDeprecations', '6.0'];
    const types = ['--strict', '--skipLibCheck', '--types', 'node', '--typeRoots', TYPES];
    await run(TSC, [...target, '--moduleResolution', 'node10', ...types, 'main.ts'], {
      cwd: client,
    });
    const [key = ''] = makeKeys(1);
    const said = await run(process.execPath, [join(client, 'main.js'), gateway.url, key]);
    t.equal(said.trim(), '1');
    await untilCounted(servers.database, key, EXACT);
  });

  await t.test('a generated Python client counts exactly', async (t) => {
    const python = await findPythonTools().catch((error: Error) => error);
    if (python instanceof Error) {
      t.pass(`Python's generator can't be had: ${python.message}`, { skip: true });
      return;
    }
    const env = { PATH: `${python}:${process.env['PATH']}` };
    const client = join(folder, 'python');
    const args = ['generate', '--path', document, '--output-path', client];
    await run(join(python, 'openapi-python-client'), args, { env });
    writeFileSync(join(client, 'main.py'), PYTHON_CLIENT);
    const [key = ''] = makeKeys(1);
    const said = await run(join(python, 'python'), [join(client, 'main.py'), gateway.url, key]);
    t.equal(said.trim(), '1');
    await untilCounted(servers.database, key, EXACT);
  });
});
