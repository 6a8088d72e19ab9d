import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t from 'tap';
import { makeFolder } from '../../support/folders.ts';
import { inheritedEnvironment } from '../../support/inherited-environment.ts';
import { startServers } from '../../support/servers.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

void t.test(
  'a project in any path that Node can run brings the tables to its version',
  async (t) => {
    const { urls } = await startServers(t, { ownPostgres: true });
    const project = join(makeFolder(t), `it's, "a" ; #ü %20`);
    mkdirSync(project);
    for (const name of ['schema', 'package.json']) {
      cpSync(join(ROOT, name), join(project, name), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'));
    const url = pathToFileURL(join(project, 'schema/database/migrate.ts')).href;
    const script = `import { migrate } from ${JSON.stringify(url)};
    await migrate({ ownerUrl: process.env.OWNER_URL, passwords: { gateway: 'gw', counter: 'ct' } });`;
    t.doesNotThrow(() =>
      execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        env: { ...inheritedEnvironment(), OWNER_URL: urls.ownerDatabase },
        stdio: 'pipe',
      }),
    );
  },
);
