/*
 * What each role publishes and subscribes to. nats/roles.conf grants it on brokers of our own, where each role has
 * an account; docs/other-nats.md lists it for users of one account. A test compares the three.
 */
import {
  CLEAR_SUBJECT,
  HEARTBEAT_SUBJECT,
  RATE_LIMIT_SUBJECT,
  STORED_SUBJECT,
  TRACE_SUBJECT,
} from './channel.ts';
import type { NatsRole } from './roles.ts';
import {
  COUNTER,
  DEAD_SUBJECT_PREFIX,
  HTTP_SUBJECT,
  INCREMENTS,
  INCREMENTS_DEAD,
  REPLAY_SUBJECT,
  SUBJECTS_PREFIX,
} from './streams.ts';

/** Subjects, with wildcards. */
export interface Permissions {
  publish: string[];
  subscribe: string[];
}

/** Below the prefix, so that whoever may subscribe to `_INBOX.>` may subscribe to this. */
export function inboxPrefixOf(role: NatsRole, prefix = '_INBOX'): string {
  return `${prefix}.${role}`;
}

/** What the role needs where all roles are users of one account. */
export function permissionsOf(
  role: NatsRole,
  { inboxPrefix, domain }: { inboxPrefix?: string; domain?: string } = {},
): Permissions {
  const inboxOf = (one: NatsRole) => `${inboxPrefixOf(one, inboxPrefix)}.>`;
  const { publish, subscribe } = needsOf(role, apiPrefixOf(domain));
  const inboxes: Record<string, string> = {
    [OWN_INBOX]: inboxOf(role),
    [ANSWERS]: inboxOf('inspector'),
    [ANSWERS_TO_GATEWAYS]: inboxOf('gateway'),
  };
  const answers = publish.map((subject) => inboxes[subject] ?? subject);
  return { publish: answers, subscribe: [inboxOf(role), ...subscribe] };
}

/** Of the subjects on which JetStream is asked. */
export function apiPrefixOf(domain: string | undefined): string {
  return domain === undefined ? '$JS.API' : `$JS.${domain}.API`;
}

/** By which `nats server check connection` sees whether what is sent arrives. */
const OWN_INBOX = '(the inbox of the role)';
/** Where people ask from: services answer them. */
const ANSWERS = '(the inbox of the inspector)';
/** Where gateways ask counter services from. */
const ANSWERS_TO_GATEWAYS = '(the inbox of the gateway)';

/** For people and their tools. */
const ABOUT_ONESELF = ['$SYS.REQ.USER.INFO', OWN_INBOX];
const ACKS_OF_DEAD_LETTERS = [`$JS.ACK.${INCREMENTS_DEAD}.>`, `$JS.ACK.*.*.${INCREMENTS_DEAD}.>`];

function needsOf(role: NatsRole, api: string): Permissions {
  const channels = [TRACE_SUBJECT, RATE_LIMIT_SUBJECT, STORED_SUBJECT].map((one) => `${one}.>`);
  switch (role) {
    case 'gateway':
      return {
        publish: [
          HTTP_SUBJECT,
          ...channels,
          CLEAR_SUBJECT,
          `${HEARTBEAT_SUBJECT}.gateway`,
          ANSWERS,
        ],
        subscribe: [...channels, `${HEARTBEAT_SUBJECT}.*`, '$SRV.>'],
      };
    case 'counter':
      return {
        publish: [
          `${api}.CONSUMER.MSG.NEXT.${INCREMENTS}.${COUNTER}`,
          `${api}.CONSUMER.INFO.${INCREMENTS}.${COUNTER}`,
          `${api}.STREAM.INFO.${INCREMENTS}`,
          `${api}.STREAM.INFO.${INCREMENTS_DEAD}`,
          `${api}.STREAM.MSG.GET.${INCREMENTS}`,
          `${api}.STREAM.MSG.GET.${INCREMENTS_DEAD}`,
          `${api}.STREAM.PURGE.${INCREMENTS}`,
          `$JS.ACK.${INCREMENTS}.${COUNTER}.>`,
          `$JS.ACK.*.*.${INCREMENTS}.${COUNTER}.>`,
          `${DEAD_SUBJECT_PREFIX}${SUBJECTS_PREFIX}>`,
          `${HEARTBEAT_SUBJECT}.counter`,
          ANSWERS,
          ANSWERS_TO_GATEWAYS,
        ],
        subscribe: [CLEAR_SUBJECT, '$SRV.>'],
      };
    case 'provisioner':
      return {
        publish: [
          `${api}.INFO`,
          `${api}.STREAM.NAMES`,
          `${api}.STREAM.LIST`,
          ...[INCREMENTS, INCREMENTS_DEAD].flatMap((stream) => [
            `${api}.STREAM.*.${stream}`,
            `${api}.STREAM.MSG.*.${stream}`,
            `${api}.CONSUMER.*.${stream}`,
            `${api}.CONSUMER.*.${stream}.>`,
          ]),
          // To page through both streams.
          `${api}.DIRECT.GET.${INCREMENTS}`,
          `${api}.CONSUMER.MSG.NEXT.${INCREMENTS_DEAD}.*`,
          ...ACKS_OF_DEAD_LETTERS,
          REPLAY_SUBJECT,
          ...ABOUT_ONESELF,
        ],
        subscribe: [],
      };
    case 'inspector':
      return {
        publish: [
          `${api}.INFO`,
          `${api}.STREAM.LIST`,
          `${api}.STREAM.NAMES`,
          `${api}.STREAM.INFO.${INCREMENTS}`,
          `${api}.STREAM.INFO.${INCREMENTS_DEAD}`,
          `${api}.STREAM.MSG.GET.*`,
          `${api}.DIRECT.GET.>`,
          `${api}.CONSUMER.LIST.*`,
          `${api}.CONSUMER.NAMES.*`,
          `${api}.CONSUMER.INFO.${INCREMENTS}.${COUNTER}`,
          `${api}.CONSUMER.INFO.${INCREMENTS_DEAD}.*`,
          `${api}.CONSUMER.MSG.NEXT.${INCREMENTS_DEAD}.*`,
          `${api}.CONSUMER.DELETE.${INCREMENTS_DEAD}.*`,
          ...ACKS_OF_DEAD_LETTERS,
          '$SRV.>',
          ...ABOUT_ONESELF,
        ],
        subscribe: [`${HEARTBEAT_SUBJECT}.*`, '$JS.EVENT.ADVISORY.>'],
      };
    // Its requests are of the system account, which nobody gives away.
    default:
      return { publish: ABOUT_ONESELF, subscribe: [] };
  }
}

/** Whether a pattern has a subject, or all that another pattern has. */
export function matchesSubject(pattern: string, subject: string): boolean {
  const tokens = subject.split('.');
  const parts = pattern.split('.');
  const last = parts.length - 1;
  if (parts[last] === '>') {
    return tokens.length > last && parts.slice(0, last).every((part, at) => fits(part, tokens[at]));
  }
  return parts.length === tokens.length && parts.every((part, at) => fits(part, tokens[at]));
}

function fits(part: string, token: string | undefined): boolean {
  return part === token || (part === '*' && token !== '>');
}
