import { randomUUID } from 'node:crypto';
import { isAbsolute, join, relative } from 'node:path';
import { styleText } from 'node:util';
import type { MeshFile } from './mesh-file.ts';

/** What is printed when all serves: where everything is, and five lines to paste. */
export function announce(mesh: MeshFile, dataFolder: string): string {
  const folder = shortest(dataFolder);
  const clients = quote(join(folder, 'clients'));
  const gateway = mesh.gateways[0]!.url;
  const key = randomUUID();
  const json = `'{"key":"${key}","value":5}'`;

  return `
${styleText(['bold', 'green'], 'increment-mesh is ready.')} ${dim('Ctrl-C stops it in order, twice at once.')}

  gateways    ${gateway}  ${dim(`${mesh.gateways.length} on one port`)}
  counters    ${dim(mesh.counters.map(({ pid }) => `pid ${pid}`).join(', '))}
  nats        ${withoutPassword(mesh.nats[0]!.url)}
  postgres    ${withoutPassword(mesh.postgres.url)}
  data        ${folder}  ${dim('mesh.json lists what runs; logs/ is what it says')}

${styleText('bold', 'Try it')}  ${dim('an increment is in the table at most ten seconds after its 200')}

curl ${gateway}/increment -H 'content-type: application/json' -d ${json}
curl ${gateway}/counters/${key}
PGSERVICEFILE=${quote(join(folder, 'clients', 'pg_service.conf'))} psql service=mesh -c 'table increments'
XDG_CONFIG_HOME=${clients} nats --context mesh stream info INCREMENTS
kill -9 ${mesh.counters[0]!.pid}  ${dim('# a counter dies, another takes over: the total stays exact')}
`;
}

/** As seen from where the user typed the command, which npm tells: it changes the folder itself. */
function shortest(folder: string): string {
  const seen = relative(process.env.INIT_CWD ?? process.cwd(), folder);
  return seen === '' || seen.startsWith('..') || isAbsolute(seen) ? folder : seen;
}

function withoutPassword(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href;
}

function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function dim(text: string): string {
  return styleText('dim', text);
}
