import type { TString } from 'typebox';
import { urlSetting } from '../schema/settings/url-setting.ts';

/** Brokers of one cluster behind one URL. */
export interface NatsServers {
  /** Each as `host:port`. */
  servers: string[];
  /** The client takes them as options, not in the URL. */
  credentials?: { user: string; pass: string } | { token: string };
  /** Required by the client, so that no attacker in between can turn it off. */
  isTls: boolean;
}

/** Of a user, account, operator, server or cluster. */
const NKEY_SEED = /(^|[^A-Z2-7])S[UAONC][A-Z2-7]{56}([^A-Z2-7]|$)/i;

/**
 * Parses `nats://user:password@host:port`, `nats://token@host:port`, or several of them separated by commas, which
 * have the same user.
 *
 * @throws Error whose message has no part of the URL.
 */
export function parseNatsUrl(url: string): NatsServers {
  if (NKEY_SEED.test(url))
    throw new TypeError('it has the seed of an nkey, which belongs in NATS_NKEY_SEED_FILE');
  const urls = url.split(',').map((part) => new URL(part.trim()));
  const servers = urls.map(({ hostname, port }) => {
    if (hostname === '') throw new TypeError('a host is missing');
    return `${hostname}:${port === '' ? 4222 : port}`;
  });
  const isTls = urls.some(({ protocol }) => protocol === 'tls:');
  const users = new Set(urls.map(({ username, password }) => `${username}:${password}`));
  // Usual is a user for the first server alone, or the same one for each.
  users.delete(':');
  if (users.size > 1) throw new TypeError('its servers must have the same user and password');
  const [user = '', pass = ''] = [...users][0]?.split(':').map(decodeURIComponent) ?? [];
  if (user === '') return { servers, isTls };
  // As for all NATS clients, what stands alone is a token.
  return { servers, credentials: pass === '' ? { token: user } : { user, pass }, isTls };
}

/** A setting for such a URL. */
export function natsUrlSetting(description: string): TString {
  return urlSetting({ pattern: '^(nats|tls)://.+', description }, parseNatsUrl);
}
