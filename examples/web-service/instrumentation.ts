// What is said of every request: a span that goes on with the caller's trace, and how long it took. The names are those
// of the semantic conventions for HTTP.
import {
  type Context,
  context,
  metrics,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const tracer = trace.getTracer('shop.http');
const duration = metrics.getMeter('shop.http').createHistogram('http.server.request.duration', { unit: 's' });

export function instrument(app: FastifyInstance): void {
  const contexts = new WeakMap<FastifyRequest, Context>();

  app.addHook('onRequest', (request, _reply, done) => {
    const attributes = { ...common(request), 'url.path': request.url };
    const caller = propagation.extract(ROOT_CONTEXT, request.headers);
    const span = tracer.startSpan(nameOf(request), { kind: SpanKind.SERVER, attributes }, caller);
    contexts.set(request, trace.setSpan(caller, span));
    done();
  });

  // Only here: before the body was read, a context would end with the callback that it was set in.
  app.addHook('preHandler', (request, _reply, done) => {
    context.with(contexts.get(request) ?? ROOT_CONTEXT, done);
  });

  app.addHook('onResponse', (request, reply, done) => {
    const status = { 'http.response.status_code': reply.statusCode };
    const span = trace.getSpan(contexts.get(request) ?? ROOT_CONTEXT);
    span?.setAttributes(status);
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
    duration.record(reply.elapsedTime / 1000, { ...common(request), ...status });
    done();
  });
}

function common({ method, routeOptions }: FastifyRequest): Record<string, string> {
  return { 'http.request.method': method, ...(routeOptions.url !== undefined && { 'http.route': routeOptions.url }) };
}

function nameOf({ method, routeOptions }: FastifyRequest): string {
  return routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`;
}
