/** Sets of vectors 0 to 255, as in the 256-bit registers ISR, TMR and IRR: eight words of 32 bits. */

export function setVector(words: Uint32Array, vector: number): void {
  words[vector >> 5] = ((words[vector >> 5] as number) | (1 << (vector & 31))) >>> 0;
}

export function clearVector(words: Uint32Array, vector: number): void {
  words[vector >> 5] = ((words[vector >> 5] as number) & ~(1 << (vector & 31))) >>> 0;
}

export function hasVector(words: Uint32Array, vector: number): boolean {
  return ((words[vector >> 5] as number) & (1 << (vector & 31))) !== 0;
}

/** The highest vector, or -1. */
export function highestVector(words: Uint32Array): number {
  for (let i = 7; i >= 0; i--) {
    const word = words[i] as number;
    if (word !== 0) return i * 32 + 31 - Math.clz32(word);
  }
  return -1;
}
