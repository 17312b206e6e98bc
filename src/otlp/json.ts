// OTLP/JSON in and out. A request that comes as JSON becomes protobuf here, at the source, once; everything behind it
// knows only bytes. A sink that writes JSON gets it from decoded bytes, one line a request.
//
// Protobuf's JSON rules with OTLP's exceptions: ids are hex, enums are integers (names are taken, too). 64-bit integers
// come as text or as numbers; JSON.parse rounds numbers beyond 2^53, and then the text is parsed again with their
// digits kept (json-text.ts). Keys are looked up among our own, so what a key is called (`__proto__`) cannot matter.
import { countEvents } from './count.ts';
import { decodeRequest } from './decode.ts';
import { encodeMessage, Rounded, Unfit } from './encode.ts';
import { countContainers, hasMoreNames, markLongIntegers } from './json-text.ts';
import { requestOf } from './schema.ts';
import { type Signal, signals } from './signal.ts';

export type JsonRequest =
  | { readonly ok: true; readonly bytes: Uint8Array; readonly events: number }
  | { readonly ok: false; readonly reason: string; readonly isTooLarge?: true };

/**
 * Objects and arrays in a request. Telemetry has one in twenty bytes or more; a body of nothing else would be parsed
 * for seconds in which nobody else is served, into more memory than a small container has.
 */
const containersMax = 1_000_000;
/** Ten times what OTLP has, for later versions of it. */
const namesMax = 1_000;

/** `reason` is for the peer: it names the place of the fault, never what was found there. */
export function jsonToRequest(signal: Signal, text: string | Uint8Array): JsonRequest {
  const decoded = typeof text === 'string' ? text : decodeUtf8(text);
  if (decoded === undefined) return refusal('the body is not UTF-8');
  const excess = excessOf(decoded);
  if (excess !== undefined) return excess;
  try {
    const bytes = encodeText(signal, decoded);
    const events = countEvents(signal, bytes);
    return events === undefined ? refusal('a metric has two kinds of data') : { ok: true, bytes, events };
  } catch (error) {
    if (error instanceof Unfit) return refusal(error.message);
    // The parser's message quotes the body, which may hold secrets. A RangeError means that it is nested too deep.
    if (error instanceof SyntaxError) return refusal('the body is not JSON');
    if (error instanceof RangeError) return refusal('the body is nested too deep');
    throw error;
  }
}

/** What is wrong with a text that would take too much to parse. */
function excessOf(text: string): JsonRequest | undefined {
  if (countContainers(text) > containersMax) {
    return { ...refusal(`more than ${containersMax} objects and arrays; send smaller batches`), isTooLarge: true };
  }
  return hasMoreNames(text, namesMax) ? refusal(`more than ${namesMax} names of fields`) : undefined;
}

/** One line of OTLP/JSON; undefined: the bytes are malformed. */
export function requestToJson(signal: Signal, bytes: Uint8Array): string | undefined {
  const request = decodeRequest(signal, bytes);
  return request === undefined ? undefined : JSON.stringify(request);
}

function encodeText(signal: Signal, text: string): Uint8Array {
  const message = requestOf[signal];
  const request: unknown = JSON.parse(text);
  refuseStray(signal, request);
  try {
    return encodeMessage(message, request, 'refuse');
  } catch (error) {
    if (!(error instanceof Rounded)) throw error;
    return encodeMessage(message, JSON.parse(markLongIntegers(text)), 'marked');
  }
}

/**
 * Telemetry of another signal would pass as a field that nobody knows, and be left out without a word. It is no field
 * of a later version but a wrong path.
 */
function refuseStray(signal: Signal, request: unknown): void {
  if (typeof request !== 'object' || request === null) return;
  for (const other of signals) {
    for (const name of other === signal ? [] : requestOf[other].byName.keys()) {
      if (Object.hasOwn(request, name)) throw new Unfit(`the request: expected ${signal}, found ${name}`);
    }
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes); // Leaves out a byte order mark.
  } catch {
    return undefined;
  }
}

function refusal(reason: string): Extract<JsonRequest, { ok: false }> {
  return { ok: false, reason: `not taken: ${reason}` };
}
