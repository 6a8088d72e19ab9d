import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Attributes, Span } from '@opentelemetry/api';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { Publisher } from '../../nats/publisher.ts';
import { INCREMENTS } from '../../nats/streams.ts';
import type { Accepted } from '../../schema/http/accepted.ts';
import { methodOf } from '../../telemetry/conventions.ts';
import { isSampled, messageAttributes, writeTraceparent } from '../../telemetry/tracing.ts';

const tracer = trace.getTracer('increment-mesh/gateway');

/**
 * Makes a span for each request, in the trace of its sender. It has the id and the sequence of the message
 * that holds its increments, and a link to that message's trace.
 */
export const requestTracing = fastifyPlugin((app: FastifyInstance, _options: object, done) => {
  const spans = new WeakMap<FastifyRequest, Span>();

  app.addHook('onRequest', (request, reply, next) => {
    const sender = propagation.extract(ROOT_CONTEXT, request.headers);
    const span = tracer.startSpan(nameOf(request), { kind: SpanKind.SERVER }, sender);
    // Not at the start: most requests are not sampled, and no sampler goes by attributes.
    if (span.isRecording()) span.setAttributes(requestAttributes(request));
    spans.set(request, span);
    // Not onResponse, which does not come where the client has gone.
    reply.raw.once('close', () => endSpan(span, request, reply));
    next();
  });

  // Not in onRequest: code after the parsing of the body runs in the context of the connection.
  app.addHook('preHandler', (request, _reply, next) => {
    const span = spans.get(request);
    if (span === undefined) next();
    else context.with(trace.setSpan(ROOT_CONTEXT, span), next);
  });

  // From the answer, since a repeated request has the message of an earlier one.
  app.addHook('preSerialization', (request, reply, payload, next) => {
    const span = spans.get(request);
    if (span?.isRecording() && request.incrementCount > 0 && reply.statusCode === 200)
      span.setAttributes(messageAttributes(payload as Accepted));
    next(null, payload);
  });
  done();
});

function nameOf({ method, routeOptions }: FastifyRequest): string {
  const known = methodOf(method);
  const name = known === '_OTHER' ? 'HTTP' : known;
  return routeOptions.url === undefined ? name : `${name} ${routeOptions.url}`;
}

/** Without the query, in which a client may have put a secret, and without who the client is. */
function requestAttributes(request: FastifyRequest): Attributes {
  const { id, method, protocol, hostname, port, routeOptions, url, raw } = request;
  const known = methodOf(method);
  return {
    'http.request.method': known,
    ...(known !== method && { 'http.request.method_original': method }),
    'url.scheme': protocol,
    'url.path': url.split('?', 1)[0],
    ...(routeOptions.url !== undefined && { 'http.route': routeOptions.url }),
    ...(hostname !== '' && {
      'server.address': hostname,
      'server.port': port ?? (protocol === 'https' ? 443 : 80),
    }),
    'network.protocol.version': raw.httpVersion,
    // The client's or our own, as in the answer and in logs.
    'increment_mesh.request.id': id,
  };
}

function endSpan(span: Span, { problemCode }: FastifyRequest, reply: FastifyReply): void {
  if (problemCode !== undefined) span.setAttribute('increment_mesh.problem.code', problemCode);
  if (!reply.raw.headersSent) {
    span.setAttribute('error.type', 'client-gone');
  } else {
    span.setAttribute('http.response.status_code', reply.statusCode);
    // What the client did wrong is no error of a server's span.
    if (reply.statusCode >= 500) {
      span.setAttribute('error.type', problemCode ?? String(reply.statusCode));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
  }
  span.end();
}

/**
 * Makes a span for each message that holds increments of sampled requests, with links to those and from
 * those. It has room for all of them.
 */
export function tracePublisher(publisher: Publisher): Publisher {
  const publish: Publisher['publish'] = async (message, deadlineAt) => {
    const requests = (message.origins ?? []).filter((span) => span !== undefined);
    const sampled = requests.filter((span) => isSampled(span.spanContext()));
    if (sampled.length === 0) return publisher.publish(message, deadlineAt);
    const span = startSend(message.id, { sampled, requests: requests.length });
    const headers = { ...message.headers, traceparent: writeTraceparent(span.spanContext()) };
    try {
      const stored = await publisher.publish({ ...message, headers }, deadlineAt);
      span.setAttributes(messageAttributes({ id: message.id, ...stored }));
      return stored;
    } catch (error) {
      span.setAttribute('error.type', (error as Error).name);
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
      throw error;
    } finally {
      span.end();
    }
  };
  return {
    get isConnected() {
      return publisher.isConnected;
    },
    get bodyBytesMax() {
      return publisher.bodyBytesMax;
    },
    onConnectionChange: publisher.onConnectionChange,
    publish,
  };
}

function startSend(id: string, { sampled, requests }: { sampled: Span[]; requests: number }): Span {
  const attributes = { 'messaging.message.id': id };
  const send = tracer.startSpan(
    `send ${INCREMENTS}`,
    {
      kind: SpanKind.PRODUCER,
      links: sampled.map((span) => ({ context: span.spanContext() })),
      attributes: {
        ...attributes,
        'messaging.system': 'nats',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': INCREMENTS,
        'increment_mesh.message.requests': requests,
      },
    },
    ROOT_CONTEXT,
  );
  for (const request of sampled) {
    // One that gave up waiting has ended.
    if (!request.isRecording()) continue;
    // Now, so that also a request whose outcome stays unknown can be followed.
    request.setAttributes(attributes).addLink({ context: send.spanContext() });
  }
  return send;
}
