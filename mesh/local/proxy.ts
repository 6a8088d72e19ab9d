import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isLoopback } from '../../schema/settings/loopback.ts';
import { spawnDetached } from '../servers/detached-process.ts';
import { isExecutable, onPath } from '../servers/search-path.ts';
import { StartError } from '../servers/start-error.ts';
import { untilReady } from '../servers/until-ready.ts';
import { meshUrl } from './gateway-listeners.ts';
import type { ServerContext } from './server-group.ts';
import { keepLog } from './service-log.ts';
import { answers, metricsUrl, type GatewayListener } from './services.ts';
import { STOP_STEPS } from './stop-steps.ts';
import type { Program } from './supervisor.ts';

const CADDYFILE = fileURLToPath(new URL('../deploy/Caddyfile', import.meta.url));

/**
 * Caddy, with the same file as in compose.yaml, in front of gateways that each have a port.
 *
 * @throws StartError where it is not installed, or would open gateways without auth to other machines.
 */
export function proxyProgram(
  context: ServerContext & { environment: NodeJS.ProcessEnv },
  options: { metricsPort: number; listeners: GatewayListener[] },
): Program {
  const { settings, environment, dataFolder, runAs, say } = context;
  const { metricsPort, listeners } = options;
  const url = meshUrl(settings);
  const caddy = onPath('caddy', environment.PATH ?? '').find(isExecutable);
  if (caddy === undefined) {
    throw new StartError(
      'the proxy needs caddy, which is not on the PATH: install Caddy 2.6 or later ' +
        '(https://caddyserver.com/docs/install), or leave out --proxy (PROXY=1): the gateways then share one port',
    );
  }
  // The gateways would not notice, since they listen on loopback.
  if (!isLoopback(settings.HOST) && !environment.API_KEYS_FILE && environment.AUTH !== 'off') {
    throw new StartError(
      `HOST is ${settings.HOST}, which others can reach, and auth is off: set API_KEYS_FILE or AUTH=off`,
    );
  }

  const logFile = join(dataFolder.logs, 'proxy.log');
  return {
    name: 'proxy',
    stopSteps: STOP_STEPS.proxy,
    endAtOnce: 'SIGKILL',
    async launch(beforeRun) {
      const user = await runAs('proxy', { paths: [caddy, CADDYFILE], port: settings.PORT });
      const args = ['run', '--adapter', 'caddyfile', '--config', CADDYFILE];
      const proxy = await spawnDetached(caddy, args, {
        ...user?.account,
        beforeRun,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: environment.PATH,
          HOME: user?.home ?? join(dataFolder.path, 'proxy'),
          PROXY_HOST: settings.HOST,
          PROXY_PORT: String(settings.PORT),
          // Whatever the address that others reach.
          PROXY_METRICS_HOST: '127.0.0.1',
          PROXY_METRICS_PORT: String(metricsPort),
          GATEWAYS: listeners.map(({ port }) => `127.0.0.1:${port}`).join(' '),
        },
      });
      keepLog(proxy, logFile, { name: 'proxy', say, showsEntries: false });
      return proxy;
    },
    ready: (proxy) =>
      untilReady(
        proxy,
        async () => (await answers(metricsUrl(metricsPort))) && answers(`${url}/livez`),
        // Its errors have been shown already.
        { name: 'the proxy', deadlineMs: 30_000, readLog: () => '' },
      ),
  };
}
