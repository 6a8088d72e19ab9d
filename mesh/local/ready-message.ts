import { randomUUID } from 'node:crypto';
import { isAbsolute, join, relative } from 'node:path';
import { styleText } from 'node:util';
import { gatewayUrlOf, type MeshFile } from './mesh-file.ts';

/**
 * What is printed when all serves: where everything is, and five lines to paste.
 *
 * @param options.keysFile where gateways ask for API keys.
 */
export function readyMessage(
  mesh: MeshFile,
  dataFolder: string,
  { keysFile }: { keysFile: string | undefined },
): string {
  const folder = shortest(dataFolder);
  const clients = quote(join(folder, 'clients'));
  const gateway = gatewayUrlOf(mesh);
  const gateways = `${mesh.gateways.length} ${mesh.proxy === null ? 'on one port' : 'behind a proxy'}`;
  const key = randomUUID();
  const bearer = keysFile ? ` -H "authorization: Bearer $KEY"` : '';
  const json = `'{"key":"${key}","value":5}'`;

  // Without comments behind them: zsh would take those for arguments.
  return `
${styleText(['bold', 'green'], 'increment-mesh is ready.')} ${dim('Ctrl-C stops it in order, a second one at once.')}

  gateways   ${gateway}  ${dim(gateways)}
  counters   ${dim(`${mesh.counters.length}, flushing to the table`)}
  nats       ${mesh.nats.map(({ url }) => withoutPasswords(url)).join(',')}
  postgres   ${withoutPasswords(mesh.postgres.url)}
  data       ${folder}  ${dim('mesh.json lists what runs, logs/ what it says')}

${keysFile ? makeKey(keysFile) : ''}${dim('Post an increment:')}
curl ${gateway}/increment -H 'content-type: application/json'${bearer} -d ${json}
${dim('Its total, there at most ten seconds later:')}
curl ${gateway}/counters/${key}${bearer}
${dim('The same in the database, and the stream before it:')}
PGSERVICEFILE=${quote(join(folder, 'clients', 'pg_service.conf'))} psql service=mesh -c 'table increments'
XDG_CONFIG_HOME=${clients} nats --context mesh stream info INCREMENTS
${dim('Kill a counter: the other takes over, and the total stays exact:')}
kill -9 ${mesh.counters[0]!.pid}
`;
}

function makeKey(keysFile: string): string {
  const command = `npm run mesh -- keys add me --scopes write,read --file ${quote(keysFile)}`;
  return `${dim('Requests need an API key, below as $KEY. This makes one:')}\n${command}\n`;
}

/** As seen from where the user typed the command, which npm tells: it changes the folder itself. */
function shortest(folder: string): string {
  const seen = relative(process.env.INIT_CWD ?? process.cwd(), folder);
  return seen === '' || seen.startsWith('..') || isAbsolute(seen) ? folder : seen;
}

/** Of one server, or of several that are separated by commas. */
function withoutPasswords(urls: string): string {
  return urls.replaceAll(/\/\/[^/]*@/g, '//');
}

function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function dim(text: string): string {
  return styleText('dim', text);
}
