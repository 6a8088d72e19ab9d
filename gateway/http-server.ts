import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ConfigurationError } from '../schema/settings/environment.ts';
import type { GatewayConfig } from './config.ts';

/** An increment has some 80 bytes; this leaves room for any formatting. */
const BODY_BYTES_MAX = 4_096;
const HEADER_BYTES_MAX = 16_384;
/** From the first byte of a request to the last: a slower client is disconnected. */
const REQUEST_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 5_000;
/** Of TLS; by default two minutes. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/** A client's own request id is kept if it is short and harmless in a log. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const REQUEST_ID_LINE = /^x-request-id:[ \t]*([\x21-\x7e]{1,128})[ \t]*\r?$/gim;

/** Certificate and key in PEM. */
export interface TlsFiles {
  cert: Buffer;
  key: Buffer;
}

/** Fastify's options for the server, its limits and its requests' ids. */
export function serverOptions(tls: TlsFiles | undefined, keepAliveTimeoutMs: number) {
  const limits = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // How often the time-outs are checked; by default only every 30 s.
    connectionsCheckingInterval: 1_000,
    // Node's own refusal would have an empty body; the first hook refuses instead.
    requireHostHeader: false,
    // Of a field that may come once, Node would else keep one; joined, it is refused as what it is not.
    joinDuplicateHeaders: true,
  };
  return {
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionTimeout: 0,
    forceCloseConnections: 'idle' as const,
    return503OnClosing: false,
    genReqId: createRequestIds(),
    // Fastify's types separate HTTP from HTTPS; here only the certificate differs.
    ...((tls === undefined
      ? { http: limits }
      : { https: { ...limits, ...tls, handshakeTimeout: HANDSHAKE_TIMEOUT_MS } }) as {
      http: typeof limits;
    }),
  };
}

/** @throws ConfigurationError for files that can't be read, are not PEM, or don't belong together. */
export function readTlsFiles(config: GatewayConfig): TlsFiles | undefined {
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = config;
  if (certFile === undefined || keyFile === undefined) return undefined;
  try {
    const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    createSecureContext(tls);
    return tls;
  } catch (error) {
    const files = `TLS_CERT_FILE "${certFile}" and TLS_KEY_FILE "${keyFile}"`;
    throw new ConfigurationError([
      `${files} can't be used (${(error as Error).message}): give a certificate and its key in PEM`,
    ]);
  }
}

/** Ids that are unique over all gateways and cheap to make. */
function createRequestIds() {
  const prefix = randomUUID().slice(0, 8);
  let count = 0;
  return (request: { headers: Record<string, string | string[] | undefined> }) => {
    return readRequestId(request) ?? `${prefix}-${(++count).toString(36)}`;
  };
}

/** The id that a client has given its request; undefined if there is none that can be kept. */
export function readRequestId({
  headers,
}: {
  headers: Record<string, string | string[] | undefined>;
}): string | undefined {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : undefined;
}

/** The same of bytes that are no whole request; undefined if they have several, as those of several requests. */
export function findRequestId(bytes: string): string | undefined {
  const found = [...bytes.matchAll(REQUEST_ID_LINE)];
  return found.length === 1 ? found[0]?.[1] : undefined;
}
