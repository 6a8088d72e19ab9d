import type { TString } from 'typebox';
import { urlSetting } from '../schema/settings/url-setting.ts';

/** Brokers of one cluster behind one URL. */
export interface NatsServers {
  /** Each as `host:port`. */
  servers: string[];
  /** The client takes user and password as options, not in the URL. */
  credentials?: { user: string; pass: string };
  /** Required by the client, so that no attacker in between can turn it off. */
  isTls: boolean;
}

/**
 * Parses `nats://user:password@host:port`, or several of them separated by commas.
 *
 * @throws Error whose message has no password.
 */
export function parseNatsUrl(url: string): NatsServers {
  const urls = url.split(',').map((part) => new URL(part.trim()));
  const servers = urls.map(({ hostname, port }) => {
    if (hostname === '') throw new TypeError('a host is missing');
    return `${hostname}:${port === '' ? 4222 : port}`;
  });
  const isTls = urls.some(({ protocol }) => protocol === 'tls:');
  const first = urls[0];
  if (first === undefined || first.username === '') return { servers, isTls };
  const user = decodeURIComponent(first.username);
  const pass = decodeURIComponent(first.password);
  return { servers, credentials: { user, pass }, isTls };
}

/** A setting for such a URL. */
export function natsUrlSetting(description: string): TString {
  return urlSetting({ pattern: '^(nats|tls)://.+', description }, parseNatsUrl);
}
