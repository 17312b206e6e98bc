// Assertions that stay on in production.
//
// An assertion states what must be true if our own code is right. When one fails, the bug is ours: nothing below the
// caller's main function may catch it and carry on, because state that broke one rule may already have broken others.

/** Our own bug. Never thrown for bad input, bad bytes or a bad disk. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
  readonly details: Readonly<Record<string, unknown>>;

  constructor(rule: string, details: Readonly<Record<string, unknown>> = {}) {
    super(`Invariant violated: ${rule}. This is a bug in Spillway; details: ${describe(details)}`);
    this.details = details;
  }
}

/** Throws {@link InvariantViolation} unless `condition` holds. `rule` is a sentence that is true when all is well. */
export function assert(
  condition: unknown,
  rule: string,
  details?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantViolation(rule, details);
}

/** Closes a `switch` over a union: the compiler proves that no case is missing. */
export function unreachable(value: never): never {
  throw new InvariantViolation('every case of a union is handled', { value });
}

function describe(details: Readonly<Record<string, unknown>>): string {
  const plain = (_key: string, value: unknown): unknown =>
    typeof value === 'bigint' || typeof value === 'function' ? String(value) : value;
  try {
    return JSON.stringify(details, plain) ?? '{}';
  } catch {
    return Object.keys(details).join(', '); // A cycle: the names alone still help.
  }
}
