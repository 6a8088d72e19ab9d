import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { SEED } from '../support/seed.ts';
import { findPythonTools, run } from './api-tools.ts';

const EXAMPLES = 100;

void t.test('no made request gets an answer that is not in the OpenAPI document', async (t) => {
  const python = await findPythonTools().catch((error: Error) => error);
  if (python instanceof Error) {
    t.pass(`schemathesis can't be had: ${python.message}`, { skip: true });
    return;
  }
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers);
  await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  // Not whether what the schema allows is accepted: to JSON Schema 5.0 is an integer.
  const checks = [
    'not_a_server_error',
    'status_code_conformance',
    'content_type_conformance',
    'response_headers_conformance',
    'response_schema_conformance',
    'unsupported_method',
  ];
  // Documented are the 504 of a read that waits for what is not there yet, and the 503 of clears that come too fast.
  writeFileSync(
    join(servers.folder, 'schemathesis.toml'),
    `[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", 504]

[[operations]]
include-name = "DELETE /counters/{key}"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]
`,
  );
  const failure = await run(
    `${python}/schemathesis`,
    [
      // It cannot send the document's example of NDJSON; those are checked elsewhere.
      'run',
      `${gateway.url}/openapi.json`,
      '--checks',
      checks.join(','),
      '--max-examples',
      String(EXAMPLES),
      '--seed',
      String(SEED),
      '--no-color',
      '--phases',
      'coverage,fuzzing',
    ],
    { cwd: servers.folder, timeout: 600_000 },
  ).then(
    () => '',
    // What it found is in its output.
    ({ message, stdout }: Error & { stdout: string }) => `${message}\n${stdout}`,
  );
  t.equal(failure, '');
});
