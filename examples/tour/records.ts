// The records of the tour: log records as a web shop would write them. Each is made from its number alone, so that the
// process that reads them after the crash can tell, byte by byte, whether it got what was written.

const services = ['checkout', 'cart', 'catalogue', 'payment', 'shipping', 'search'] as const;
const routes = ['/', '/api/cart', '/api/products/{id}', '/api/checkout', '/api/search', '/healthz'] as const;
const encoder = new TextEncoder();

/** A number that looks drawn, from a number that is counted. */
function mixed(number: number, salt: number): number {
  let value = Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (value ^ (value >>> 13)) >>> 0;
}

function pick<Item>(items: readonly Item[], draw: number): Item {
  return items[draw % items.length] as Item;
}

export function payloadOf(number: number): Uint8Array {
  const draw = mixed(number, 1);
  const status = draw % 50 === 0 ? 503 : draw % 13 === 0 ? 404 : 200;
  const route = pick(routes, mixed(number, 2));
  const durationMs = 1 + (mixed(number, 3) % 400);
  const trace = mixed(number, 4).toString(16).padStart(8, '0') + mixed(number, 5).toString(16).padStart(8, '0');
  const record = {
    timeUnixNano: `17600000${String(number).padStart(9, '0')}00`,
    severityText: status === 200 ? 'INFO' : status === 404 ? 'WARN' : 'ERROR',
    body: `GET ${route} ${status} in ${durationMs} ms`,
    attributes: {
      'service.name': pick(services, mixed(number, 6)),
      'host.name': `web-${mixed(number, 7) % 12}`,
      'http.route': route,
      'http.response.status_code': status,
      'http.server.request.duration': durationMs,
    },
    traceId: trace + trace,
    ...(status === 503 ? { exception: 'upstream connect error or disconnect before headers\n'.repeat(6) } : {}),
  };
  return encoder.encode(JSON.stringify(record));
}
