import { errors, type NatsConnection } from '@nats-io/transport-node';
import type { NatsAccess } from './access-settings.ts';
import { matchesSubject, permissionsOf } from './permissions.ts';
import type { NatsRole } from './roles.ts';

/** A subject that the broker does not let the user publish or subscribe to. */
export type Denial = InstanceType<typeof errors.PermissionViolationError>;

type Subject = Pick<Denial, 'operation' | 'subject'>;
type RoleAccess = { role: NatsRole } & NatsAccess;

/** Where a user's permissions are listed. */
export const PERMISSIONS_PAGE = 'docs/other-nats.md';

/** The client wraps it in an error of the request. */
export function findDenial(error: unknown): Denial | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof errors.PermissionViolationError) return each;
  }
  return undefined;
}

/** One sentence without its end: the subject, whose it is, and the permission that the user needs. */
export function describeDenial(denial: Subject, access: RoleAccess): string {
  const verb = verbOf(denial.operation);
  const permission = findPermission(denial, access);
  return (
    `the broker does not let the ${access.role} ${verb} to ${denial.subject}: allow its user to ${verb} ` +
    `to ${permission} (${PERMISSIONS_PAGE})`
  );
}

/** The broker may deny each message of a client that has a subject of its own. */
const SAID_MAX = 100;

/** Says of each missing permission once, until the connection is made again, when the user may have it. */
export async function followDenials(
  connection: NatsConnection,
  access: RoleAccess,
  say: (line: string) => void,
): Promise<void> {
  const said = new Set<string>();
  for await (const status of connection.status()) {
    if (status.type === 'reconnect') said.clear();
    const denial = status.type === 'error' ? findDenial(status.error) : undefined;
    if (denial === undefined) continue;
    const permission = `${denial.operation} ${findPermission(denial, access)}`;
    if (said.has(permission) || said.size >= SAID_MAX) continue;
    said.add(permission);
    say(describeDenial(denial, access));
  }
}

/** The one in the role's list that the subject needs. */
function findPermission({ operation, subject }: Subject, access: RoleAccess): string {
  const needed = permissionsOf(access.role, access)[verbOf(operation)];
  return needed.find((pattern) => matchesSubject(pattern, subject)) ?? subject;
}

function verbOf(operation: Denial['operation']): 'publish' | 'subscribe' {
  return operation === 'publish' ? 'publish' : 'subscribe';
}
