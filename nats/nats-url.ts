import type { TString } from 'typebox';
import { urlSetting } from '../schema/settings/url-setting.ts';

/** Brokers of one cluster behind one URL. */
export interface NatsServers {
  /** Each as `host:port`. */
  servers: string[];
  /** The client takes user and password as options, not in the URL. */
  credentials?: { user: string; pass: string };
  /** Insisted on, so that nobody in between can talk the client out of it. */
  isTls: boolean;
}

/**
 * Takes `nats://user:password@host:port` apart, of which there may be several, separated by commas.
 *
 * @throws Error that shows no password.
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

/** A setting that is such a URL. */
export function natsUrlSetting(description: string): TString {
  return urlSetting({ pattern: '^(nats|tls)://.+', description }, parseNatsUrl);
}
