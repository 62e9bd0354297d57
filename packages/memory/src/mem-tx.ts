/** Outcome of a bus transaction. Results are values, never exceptions (trust rule 7). */
export const MemTxResult = {
  /** Everything was transferred. */
  OK: 0,
  /** A device rejected the access (size, alignment). */
  ERROR: 1,
  /** Nothing is mapped at the address. */
  DECODE_ERROR: 2,
  /** RAM-only transfer aimed at a device or at ROM. */
  ACCESS_DENIED: 3,
} as const;
export type MemTxResult = (typeof MemTxResult)[keyof typeof MemTxResult];

/** A mistake of the embedding program while building the map (bad size, cycle, double mapping). Never guest-caused. */
export class MemoryMapError extends Error {
  override readonly name = 'MemoryMapError';
}
