/** Numbers of 64 bits and more in halves: the carry into the upper one. Hot path: no allocation. Addresses: linear-numbers.ts. */
export const TWO32 = 0x1_0000_0000;
/** What is above 32 bits, as i32 bits when stored. */
export const highHalf = (n: number): number => Math.floor(n / TWO32);
