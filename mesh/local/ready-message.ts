import { randomUUID } from 'node:crypto';
import { isAbsolute, join, relative } from 'node:path';
import { styleText } from 'node:util';
import { quoteForShell } from '../../schema/quote-for-shell.ts';
import { describeDatabaseUrl } from '../../schema/database/database-url.ts';
import { gatewayUrlOf, type MeshFile } from './mesh-file.ts';

/**
 * Says where everything is, with commands to paste.
 *
 * @param options.keysFile given where gateways ask for API keys.
 */
export function readyMessage(
  mesh: MeshFile,
  dataFolder: string,
  { keysFile }: { keysFile: string | undefined },
): string {
  const folder = shortest(dataFolder);
  const clients = quoteForShell(join(folder, 'clients'));
  const gateway = gatewayUrlOf(mesh);
  const gateways = `${mesh.gateways.length} ${mesh.proxy === null ? 'on one port' : 'behind a proxy'}`;
  const { length } = mesh.counters;
  const counters = `${length} counter service${length === 1 ? '' : 's'}`;
  const key = randomUUID();
  const bearer = keysFile ? ` -H "authorization: Bearer $KEY"` : '';
  const json = `'{"key":"${key}","value":5}'`;

  // No comments after commands: zsh would take them for arguments.
  return `
${styleText(['bold', 'green'], 'increment-mesh is ready.')} ${dim('Ctrl-C stops it gracefully, a second one at once.')}

  gateways   ${gateway}  ${dim(gateways)}
  counting   ${dim(counters)}
  nats       ${mesh.nats.map(({ url }) => withoutPasswords(url)).join(',')}
  postgres   postgres://${describeDatabaseUrl(mesh.postgres.url)}
  data       ${folder}  ${dim('mesh.json lists the processes, logs/ has their logs')}

${keysFile ? makeKey(keysFile) : ''}${dim('Post an increment:')}
curl ${gateway}/increment -H 'content-type: application/json'${bearer} -d ${json}
${dim('Read its total, at most ten seconds later:')}
curl ${gateway}/counters/${key}${bearer}
${dim('Look at the table, and at the stream before it:')}
PGSERVICEFILE=${quoteForShell(join(folder, 'clients', 'pg_service.conf'))} psql service=mesh -c 'table increments'
XDG_CONFIG_HOME=${clients} nats --context mesh stream info ${mesh.stream ?? 'INCREMENTS'}
${dim('Kill a counter service: another takes over, and totals stay exact:')}
kill -9 ${mesh.counters[0]!.pid}
`;
}

function makeKey(keysFile: string): string {
  const command = `npm run mesh -- keys add me --scopes write,read --file ${quoteForShell(keysFile)}`;
  return `${dim('Requests need an API key, $KEY below. This makes one:')}\n${command}\n`;
}

/** Relative to where the user typed the command; npm changes the folder, and says which it was. */
function shortest(folder: string): string {
  const seen = relative(process.env.INIT_CWD ?? process.cwd(), folder);
  return seen === '' || seen.startsWith('..') || isAbsolute(seen) ? folder : seen;
}

/** One URL, or several separated by commas. */
function withoutPasswords(urls: string): string {
  return urls.replaceAll(/\/\/[^/]*@/g, '//');
}

function dim(text: string): string {
  return styleText('dim', text);
}
