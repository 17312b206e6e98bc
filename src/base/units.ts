// Byte units and the arithmetic of alignment.

export const KiB = 1024;
export const MiB: number = 1024 * KiB;
export const GiB: number = 1024 * MiB;

/** The smallest multiple of `alignment` that is not below `value`. Works beyond 32 bits. */
export function alignUp(value: number, alignment: number): number {
  const rest = value % alignment;
  return rest === 0 ? value : value + alignment - rest;
}

/** The largest multiple of `alignment` that is not above `value`. Works beyond 32 bits. */
export function alignDown(value: number, alignment: number): number {
  return value - (value % alignment);
}
