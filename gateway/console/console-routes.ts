import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import type { FastifyPluginCallback } from 'fastify';
import type { Scope } from '../../schema/http/api-keys.ts';
import type { ApiKeys } from '../auth/api-keys.ts';
import { hasScope } from '../auth/auth.ts';
import type { MeshView } from './mesh-view.ts';
import type { Readiness } from '../health/readiness.ts';
import { ProblemError, stopping } from '../errors/problem-details.ts';

/** Consoles at once; each gets a few kilobytes twice a second. */
const WATCHERS_MAX = 32;
/** How much a console may leave unread: two events of the largest mesh, hundreds of a small one. */
const UNREAD_BYTES_MAX = 1024 * 1024;

/** How long a stop waits for a console to read its last events. */
const END_MS = 1_000;

const FOLDER = new URL('./page/', import.meta.url);

/** The files of the folder that belong to the page; it loads nothing from elsewhere. */
const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The page may load its own files and call its own gateway, and nothing else. */
const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** A proxy must neither compress events nor collect them; the last field is nginx's. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
};

/** The console: a page that anyone may load, and its events, for clients that may read. */
export const consoleRoutes: FastifyPluginCallback<{
  meshView: MeshView;
  readiness: Readiness;
  apiKeys?: ApiKeys | undefined;
}> = (app, { meshView, readiness, apiKeys }, done) => {
  for (const name of readdirSync(FOLDER)) {
    const contentType = CONTENT_TYPES[extname(name)];
    if (contentType === undefined) continue;
    const content = readFileSync(new URL(name, FOLDER));
    const etag = `"${hash('sha256', content).slice(0, 32)}"`;
    const headers = {
      ...SECURITY_HEADERS,
      'content-type': contentType,
      // Checked with the gateway each time, and sent again only if it changed.
      'cache-control': 'no-cache',
      etag,
    };
    const path = name === 'console.html' ? '/' : `/console/${name}`;
    app.get(path, (request, reply) => {
      reply.headers(headers);
      return isKnown(etag, request.headers['if-none-match'])
        ? reply.code(304).send()
        : reply.send(content);
    });
  }

  const watchers = new Set<Watcher>();
  const scopes: Scope[] = ['read', 'operate'];
  const events = { config: { scope: scopes }, exposeHeadRoute: false };
  app.head('/events', events, (_request, reply) => reply.headers(STREAM_HEADERS).send());
  app.get('/events', events, (request, reply) => {
    if (readiness.isStopping()) throw stopping();
    if (watchers.size >= WATCHERS_MAX) {
      const detail = `${WATCHERS_MAX} consoles are connected to this gateway already.`;
      throw new ProblemError('too-many-watchers', detail);
    }
    // A console stays open for hours, and ends when its key is gone, has expired or may no longer read.
    const mayWatch = () => {
      const { apiKey } = request;
      const current = apiKey && apiKeys?.readAgain(apiKey);
      return apiKey === undefined || (current !== undefined && hasScope(current, scopes));
    };
    const watcher = watch(meshView, mayWatch);
    watchers.add(watcher);
    watcher.stream.on('close', () => watchers.delete(watcher));
    return reply.headers(STREAM_HEADERS).send(watcher.stream);
  });
  // A stop does not wait for consoles.
  app.addHook('preClose', (next) => {
    for (const watcher of watchers) watcher.end();
    next();
  });
  done();
};

/** Whether a client has what an ETag names (RFC 9110): one of a list, weak or not, or anything. */
export function isKnown(etag: string, ifNoneMatch: string | undefined): boolean {
  const known = ifNoneMatch?.split(',').map((each) => each.trim().replace(/^W\//, ''));
  return known !== undefined && (known.includes(etag) || known[0] === '*');
}

interface Watcher {
  stream: Readable;
  /** Ends the stream normally. */
  end: () => void;
}

/** @param mayWatch asked before each event; the stream ends once it is false. */
function watch(meshView: MeshView, mayWatch: () => boolean): Watcher {
  const stream = new Readable({ read: () => undefined });
  // The first bytes send the headers; without them the client would wait for the first event.
  stream.push('retry: 1000\n\n');
  const stop = meshView.watch((event) => {
    if (!mayWatch()) {
      end();
      return;
    }
    stream.push(`event: mesh\ndata: ${event}\n\n`);
    // A client that does not read is disconnected; nothing is kept for it.
    if (stream.readableLength > UNREAD_BYTES_MAX) stream.destroy();
  });
  stream.on('close', stop);
  const end = () => {
    stop();
    stream.push(null);
    // A client that has not read the rest by then does not read.
    setTimeout(() => stream.destroy(), END_MS).unref();
  };
  return { stream, end };
}
