// A small shop over HTTP. It knows the OpenTelemetry API only; who takes its telemetry says `--import`.
//
//   GET /products, GET /products/:id, POST /orders { product, quantity }, GET /orders/:id
import process from 'node:process';
import { logs, metrics, SeverityNumber, type Span, trace } from '@opentelemetry/api';
import Fastify, { type FastifyInstance } from 'fastify';
import { instrument } from './instrumentation.ts';

interface Product {
  readonly name: string;
  readonly cents: number;
  stock: number;
}

interface Order {
  readonly product: string;
  readonly quantity: number;
  readonly cents: number;
}

const tracer = trace.getTracer('shop');
const logger = logs.getLogger('shop');
const ordersPlaced = metrics.getMeter('shop').createCounter('shop.orders', { unit: '{order}' });

const products = new Map<string, Product>([
  ['kettle', { name: 'Kettle', cents: 3_900, stock: 1_000_000 }],
  ['teapot', { name: 'Teapot', cents: 2_400, stock: 1_000_000 }],
  ['cup', { name: 'Cup', cents: 700, stock: 0 }],
]);
const orders: Order[] = [];

/** A step of the work as a span of its own, below that of the request. */
function step<Result>(name: string, work: (span: Span) => Result): Result {
  return tracer.startActiveSpan(name, (span) => {
    try {
      return work(span);
    } finally {
      span.end();
    }
  });
}

function place(id: string, product: Product, quantity: number): Order | undefined {
  const isReserved = step('reserve stock', (span) => {
    span.setAttributes({ 'shop.product': id, 'shop.quantity': quantity });
    if (product.stock < quantity) return false;
    product.stock -= quantity;
    return true;
  });
  if (!isReserved) return undefined;
  return step('store order', () => {
    const order = { product: id, quantity, cents: quantity * product.cents };
    orders.push(order);
    return order;
  });
}

function say(severityNumber: SeverityNumber, body: string, attributes: Record<string, string | number>): void {
  logger.emit({ severityNumber, severityText: SeverityNumber[severityNumber], body, attributes });
}

const orderSchema = {
  body: {
    type: 'object',
    required: ['product', 'quantity'],
    properties: { product: { type: 'string' }, quantity: { type: 'integer', minimum: 1 } },
  },
};

function addRoutes(app: FastifyInstance): void {
  app.get('/products', async () => [...products.values()].map(({ name, cents }) => ({ name, cents })));

  app.get<{ Params: { id: string } }>('/products/:id', async ({ params }, reply) => {
    const product = step('look up product', () => products.get(params.id));
    return product ?? reply.code(404).send({ error: `no product ${params.id}` });
  });

  app.post<{ Body: { product: string; quantity: number } }>(
    '/orders',
    { schema: orderSchema },
    async ({ body: { product: id, quantity } }, reply) => {
      const product = products.get(id);
      const order = product && place(id, product, quantity);
      if (order === undefined) {
        say(SeverityNumber.WARN, 'order refused', { 'shop.product': id, 'shop.quantity': quantity });
        return reply.code(409).send({ error: `${quantity} of ${id} are not in stock` });
      }
      ordersPlaced.add(1, { 'shop.product': id });
      say(SeverityNumber.INFO, 'order placed', { 'shop.product': id, 'shop.cents': order.cents });
      return reply.code(201).send({ id: orders.length, ...order });
    },
  );

  app.get<{ Params: { id: string } }>('/orders/:id', async ({ params }, reply) => {
    return orders[Number(params.id) - 1] ?? reply.code(404).send({ error: `no order ${params.id}` });
  });
}

const app = Fastify({ forceCloseConnections: true });
instrument(app);
addRoutes(app);
app.listen({ host: '127.0.0.1', port: Number(process.env['PORT'] ?? 8080) }, (error, address) => {
  if (error) throw error;
  process.stdout.write(`listening on ${address}\n`);
});
// Nothing keeps the process then, and the SDK has its say before the end.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void app.close());
