/**
 * The translator's own script helpers: repeated strings, INTO, and computations too long for inline IR.
 */
import type { X86Cpu } from '../cpu.ts';
import { softInterrupt } from '../system/soft-interrupt.ts';
import { REP_HELPERS } from './rep-string.ts';

type Factory = (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number;

/** Bits of `v`, from the lowest, to the places of the ones of `mask`. SDM Vol. 2B "PDEP". */
export function depositBits(v: number, mask: number): number {
  let r = 0;
  for (let m = mask, k = 0; m !== 0; m &= m - 1, k++) if (((v >>> k) & 1) !== 0) r |= m & -m;
  return r;
}
/** Bits of `v` at the ones of `mask`, gathered. SDM Vol. 2B "PEXT". */
export function extractBits(v: number, mask: number): number {
  let r = 0;
  for (let m = mask, k = 0; m !== 0; m &= m - 1, k++) if ((v & m & -m) !== 0) r |= 1 << k;
  return r;
}
/** CRC-32C (polynomial 11EDC6F41h, reflected 82F63B78h) of the low `bits` bits. SDM Vol. 2A "CRC32". */
export function crc32c(crc: number, v: number, bits: number): number {
  let r = crc ^ (bits === 32 ? v : v & ((1 << bits) - 1));
  for (let k = 0; k < bits; k++) r = (r >>> 1) ^ (0x82f63b78 & -(r & 1));
  return r | 0;
}

/** INTO: taken when overflow is 1. Sets EIP either way. */
const into: Factory = (cpu) => (overflow, nextEip) => {
  if (overflow !== 0) return softInterrupt(cpu, 4, nextEip, 2);
  cpu.eip = nextEip >>> 0;
  return 0;
};

export const STRING_HELPERS: Readonly<Record<string, Factory>> = {
  ...REP_HELPERS,
  into,
  pdep: () => depositBits,
  pext: () => extractBits,
  crc32: () => crc32c,
};
