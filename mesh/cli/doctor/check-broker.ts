import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { accessOf, connectToNats, type NatsRole } from '../../../nats/connect.ts';
import { describeDenial } from '../../../nats/denials.ts';
import { isRefusal } from '../../../nats/error-codes.ts';
import { matchesSubject, permissionsOf } from '../../../nats/permissions.ts';
import { describeBehind, lookAtReplicas } from '../../../nats/replicas.ts';
import { isCurrent } from '../../../nats/replica-state.ts';
import {
  describeFault,
  findConsumerFaults,
  findDeadLettersFaults,
  findStreamFaults,
  NO_CONSUMER,
} from '../../../nats/settings.ts';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from '../../../nats/streams.ts';
import type { MeshServers } from '../mesh-servers.ts';

export interface BrokerCheck {
  at: string;
  name: string;
  version: string;
  hasJetStream: boolean;
  usesTls: boolean;
  store: { bytes: number; bytesMax: number };
  /** Who can connect, and what is known of their permissions. */
  roles: string[];
  problems: string[];
}

/** The roles whose URLs a mesh has. */
const ROLES = ['provisioner', 'gateway', 'counter'] as const;
const USER_INFO_MS_MAX = 1_000;

/** Asks the broker for all that a mesh needs of it, and changes nothing. */
export async function checkBroker(
  servers: MeshServers,
  environment: NodeJS.ProcessEnv,
): Promise<BrokerCheck> {
  const connection = await servers.nats('inspector');
  const manager = await servers.manager('inspector');
  const { info } = connection;
  const [account, settings, replicas, user] = await Promise.all([
    manager.getAccountInfo(),
    findFaults(manager),
    lookAtReplicas(manager).catch(() => []),
    readUser(connection),
  ]);
  const inspector = judgeUser(accessOf(connection), user);
  const others = ROLES.map((role) => checkRole(role, { servers, environment, user }));
  const roles = [inspector, ...(await Promise.all(others))];
  return {
    at: connection.getServer(),
    name: info?.server_name ?? '',
    version: info?.version ?? '',
    hasJetStream: info?.jetstream === true,
    usesTls: info?.tls_required === true,
    store: { bytes: account.storage, bytesMax: account.limits.max_storage },
    roles: roles.map(({ role, says }) => `${role}: ${says}`),
    problems: [
      ...settings,
      ...(replicas.every(isCurrent)
        ? []
        : [`Not every replica is current: ${describeBehind(replicas)}`]),
      ...roles.flatMap(({ problems }) => problems),
    ],
  };
}

/** A sentence each, without its end. */
async function findFaults(manager: JetStreamManager): Promise<string[]> {
  const [stream, dead, consumer] = await Promise.all([
    manager.streams.info(INCREMENTS),
    manager.streams.info(INCREMENTS_DEAD),
    manager.consumers.info(INCREMENTS, COUNTER).catch((error: unknown) => {
      if (!isRefusal(error, 'no-consumer')) throw error;
    }),
  ]);
  const faults = [
    ...findStreamFaults(stream.config),
    ...findDeadLettersFaults(dead.config),
    ...(consumer === undefined ? [] : findConsumerFaults(consumer)),
  ].map(describeFault);
  return consumer === undefined ? [...faults, NO_CONSUMER] : faults;
}

interface RoleCheck {
  role: NatsRole;
  says: string;
  problems: string[];
}

async function checkRole(
  role: (typeof ROLES)[number],
  known: { servers: MeshServers; environment: NodeJS.ProcessEnv; user: User | undefined },
): Promise<RoleCheck> {
  const { addresses } = known.servers;
  const variable = `${role.toUpperCase()}_NATS_URL`;
  let connection: NatsConnection | undefined;
  try {
    const url = (role !== 'provisioner' && known.environment[variable]) || addresses.nats(role);
    connection = await connectToNats({ url, role, ...addresses.natsAccess });
    // Others may not ask for theirs: the broker would log that as a violation.
    const isSame = url === addresses.nats('inspector');
    return judgeUser(accessOf(connection), isSame ? known.user : undefined);
  } catch (error) {
    const { message } = error as Error;
    return { role, says: 'can not connect', problems: [`the ${role}: ${message}`] };
  } finally {
    await connection?.close();
  }
}

/** What the broker says of a user. */
interface User {
  permissions?: Partial<Record<'publish' | 'subscribe', { allow?: string[]; deny?: string[] }>>;
}

/** Undefined where the user may not ask. */
async function readUser(connection: NatsConnection): Promise<User | undefined> {
  try {
    const options = { timeout: USER_INFO_MS_MAX };
    const answer = await connection.request('$SYS.REQ.USER.INFO', '', options);
    return answer.json<{ data?: User }>().data;
  } catch {
    return undefined;
  }
}

function judgeUser(access: ReturnType<typeof accessOf>, user: User | undefined): RoleCheck {
  const { role } = access;
  if (user === undefined) return { role, says: 'connects', problems: [] };
  const needed = permissionsOf(role, access);
  const missing = (['publish', 'subscribe'] as const).flatMap((operation) => {
    const { allow, deny = [] } = user.permissions?.[operation] ?? {};
    const has = (list: string[], subject: string) =>
      list.some((pattern) => matchesSubject(pattern, subject));
    return needed[operation]
      .filter((subject) => (allow && !has(allow, subject)) || has(deny, subject))
      .map((subject) => {
        const denied = operation === 'publish' ? operation : 'subscription';
        return describeDenial({ operation: denied, subject }, access);
      });
  });
  const says = missing.length === 0 ? 'connects, and may do what it needs' : 'lacks permissions';
  return { role, says, problems: missing };
}
