import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { Publisher } from '../../nats/publisher.ts';
import { INCREMENTS } from '../../nats/streams.ts';
import { linksTo, writeTraceparent } from '../../telemetry/tracing.ts';

const tracer = trace.getTracer('increment-mesh/gateway');

/** Makes a span for each request, in the trace of its sender. */
export const requestTracing = fastifyPlugin((app: FastifyInstance, _options: object, done) => {
  const spans = new WeakMap<FastifyRequest, Span>();

  app.addHook('onRequest', (request, _reply, next) => {
    const { method, protocol, routeOptions } = request;
    const route = routeOptions.url;
    const span = tracer.startSpan(
      route === undefined ? method : `${method} ${route}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': method,
          'url.scheme': protocol,
          'http.request.header.x-request-id': request.id,
          ...(route !== undefined && { 'http.route': route }),
        },
      },
      propagation.extract(ROOT_CONTEXT, request.headers),
    );
    spans.set(request, span);
    next();
  });

  // Not in onRequest: code after the parsing of the body runs in the context of the connection.
  app.addHook('preHandler', (request, _reply, next) => {
    const span = spans.get(request);
    if (span === undefined) next();
    else context.with(trace.setSpan(ROOT_CONTEXT, span), next);
  });

  app.addHook('onResponse', (request, reply, next) => {
    const span = spans.get(request);
    span?.setAttribute('http.response.status_code', reply.statusCode);
    if (request.problemCode !== undefined) span?.setAttribute('error.type', request.problemCode);
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
    next();
  });
  done();
});

/** Makes a span for each message that holds increments of sampled requests, with links to those. */
export function tracePublisher(publisher: Publisher): Publisher {
  const publish: Publisher['publish'] = async (message, deadlineAt) => {
    const origins = message.origins ?? [];
    const links = linksTo(origins);
    if (links.length === 0) return publisher.publish(message, deadlineAt);
    const span = tracer.startSpan('send increments', {
      root: true,
      kind: SpanKind.PRODUCER,
      links,
      attributes: {
        'messaging.system': 'nats',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': INCREMENTS,
        'messaging.message.id': message.id,
        'messaging.batch.message_count': origins.length,
      },
    });
    const traceparent = writeTraceparent(span.spanContext());
    const headers = { ...message.headers, ...(traceparent !== undefined && { traceparent }) };
    try {
      const stored = await publisher.publish({ ...message, headers }, deadlineAt);
      span.setAttribute('messaging.nats.stream.sequence', stored.sequence);
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
