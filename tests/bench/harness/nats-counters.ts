import { mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { spawnDetached, stopProcess } from '../../../mesh/servers/detached-process.ts';
import { natsStopSteps } from '../../../mesh/servers/nats.ts';
import { findNatsServer } from '../../../mesh/servers/find-nats-server.ts';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { untilReady } from '../../../mesh/servers/until-ready.ts';
import type { Scope } from './scope.ts';

const CONFIG = fileURLToPath(new URL('../contenders/nats-incr.conf', import.meta.url));
const STREAM = 'COUNTS';
const READS_AT_ONCE = 64;

export interface NatsCounters {
  pid: number;
  url: string;
  read: (keys: string[]) => Promise<Map<string, string>>;
  countMessages: () => Promise<number>;
}

/** A nats-server with a stream whose subjects are counters. It needs version 2.12. */
export async function startNatsCounters(scope: Scope, folder: string): Promise<NatsCounters> {
  const port = await findFreePort();
  const store = join(folder, 'nats-counters');
  mkdirSync(store);
  const server = await spawnDetached(await findNatsServer(), ['-c', CONFIG], {
    stdio: 'ignore',
    env: {
      ...process.env,
      NATS_LISTEN: `127.0.0.1:${port}`,
      NATS_STORE_DIR: store,
    },
  });
  scope.defer(() => stopProcess(server, natsStopSteps));
  const name = 'nats-server';
  await untilReady(server, () => accepts(port), { name, deadlineMs: 20_000, readLog: () => '' });

  const url = `nats://127.0.0.1:${port}`;
  const connection = await connect({ servers: url });
  scope.defer(() => connection.close());
  const manager = await jetstreamManager(connection);
  await manager.streams.add({
    name: STREAM,
    subjects: ['counts.>'],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    // Each message carries the sum, so the last one of a subject is enough.
    max_msgs_per_subject: 1,
    allow_msg_counter: true,
    allow_direct: true,
  });

  async function readOne(key: string): Promise<[string, string]> {
    const message = await manager.direct.getMessage(STREAM, { last_by_subj: `counts.${key}` });
    return [key, message?.json<{ val: string }>().val ?? '0'];
  }

  return {
    pid: server.pid,
    url,
    read: async (keys) => {
      const counters = new Map<string, string>();
      for (let start = 0; start < keys.length; start += READS_AT_ONCE) {
        const some = await Promise.all(keys.slice(start, start + READS_AT_ONCE).map(readOne));
        for (const [key, value] of some) counters.set(key, value);
      }
      return counters;
    },
    countMessages: async () => (await manager.streams.info(STREAM)).state.last_seq,
  };
}

async function accepts(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port });
  await once(socket, 'data');
  socket.destroy();
  return true;
}
