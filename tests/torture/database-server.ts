import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { startPostgres, type PostgresServer } from '../../mesh/servers/postgres.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { copyPostgresTemplate } from '../support/postgres-template.ts';
import { until } from '../support/until.ts';
import { findChildren, signal } from './process-tree.ts';

/** PostgreSQL, or a pair of which one takes over from the other. */
export interface DatabaseServer {
  /** Of the primary. */
  readonly port: number;
  readonly pid: number;
  kill: (signal: NodeJS.Signals) => void;
  /** Starts the primary again after a kill. */
  restart: () => Promise<void>;
  /** Kills the primary with all its processes; later makes the standby the primary, with a standby of its own. */
  failOver: (afterMs: number) => Promise<void>;
  /** Kills the standby, and starts it again after a while. */
  restartStandby: (afterMs: number) => Promise<void>;
  stop: () => Promise<void>;
}

/** A standby begins with the template's files, so all of the log that came after is needed. */
const SETTINGS = ['wal_keep_size=4GB'];
const SYNCHRONOUS = ['synchronous_standby_names=standby'];
const IN_SYNC_MS_MAX = 60_000;

interface Node {
  folder: string;
  port: number;
  server: PostgresServer;
  launch: () => Promise<PostgresServer>;
}

/** @param options.hasStandby so that commits wait for a synchronous standby. */
export async function startDatabaseServer(
  folder: string,
  { hasStandby }: { hasStandby: boolean },
): Promise<DatabaseServer> {
  let started = 0;
  let primary = await startNode();
  let standby = hasStandby ? await startNode(primary) : undefined;

  async function startNode(leader?: Node): Promise<Node> {
    const name = `postgres-${++started}`;
    const options = {
      folder: join(folder, name),
      port: await findFreePort(),
      password: PASSWORDS.superuser,
      settings: [
        ...SETTINGS,
        ...(hasStandby ? SYNCHRONOUS : []),
        ...(leader === undefined ? [] : [`primary_conninfo=${followUrl(leader)}`]),
      ],
    };
    await copyPostgresTemplate(options.folder);
    if (leader !== undefined) writeFileSync(join(options.folder, 'standby.signal'), '');
    const launch = async () => endWithUs(await startPostgres(options), 'SIGQUIT');
    return { folder: options.folder, port: options.port, server: await launch(), launch };
  }

  function theStandby(): Node {
    if (standby === undefined) throw new Error('this PostgreSQL has no standby');
    return standby;
  }

  async function failOver(afterMs: number): Promise<void> {
    const [old, heir] = [primary, theStandby()];
    killWhole(old.server.pid);
    await old.server.exited;
    await delay(afterMs);
    await ask(heir, 'select pg_promote(true)');
    primary = heir;
    rmSync(old.folder, { recursive: true, force: true });
    standby = await startNode(primary);
    await until('a standby that is in sync', isInSync, Boolean, IN_SYNC_MS_MAX);
  }

  async function isInSync(): Promise<boolean> {
    const [row] = await ask(primary, `select from pg_stat_replication where sync_state = 'sync'`);
    return row !== undefined;
  }

  return {
    get port() {
      return primary.port;
    },
    get pid() {
      return primary.server.pid;
    },
    kill: (name) => primary.server.kill(name),
    restart: async () => {
      await primary.server.exited;
      primary.server = await primary.launch();
    },
    failOver,
    restartStandby: async (afterMs) => {
      const node = theStandby();
      killWhole(node.server.pid);
      await node.server.exited;
      await delay(afterMs);
      node.server = await node.launch();
    },
    stop: async () => {
      await Promise.all([primary.server.stop(), standby?.server.stop()]);
    },
  };
}

function followUrl({ port }: Node): string {
  return `host=127.0.0.1 port=${port} user=postgres password=${PASSWORDS.superuser} application_name=standby`;
}

async function ask({ server }: Node, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: server.url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query(statement).finally(() => client.end());
  return rows as unknown[];
}

/** As a machine that loses its power: no backend commits anything after the main process has ended. */
function killWhole(pid: number): void {
  signal(pid, 'SIGSTOP');
  for (const each of [...findChildren(pid), pid]) signal(each, 'SIGKILL');
}
