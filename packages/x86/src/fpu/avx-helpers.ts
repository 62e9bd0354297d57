/**
 * Script helpers of AVX: masked moves and gathers, whose masked-out elements must not be touched.
 * Operands are in env scratch or in the registers themselves.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, FS, HF_CS64, SEG_BASE, SEG_STRIDE, SS, XMM_STRIDE } from '../state.ts';
import { linearAt, linearOf, probe } from './address.ts';

type Factory = (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number;

/** 32 bytes each. */
export const MASKED_DATA = ENV.SCRATCH + 64;
export const MASKED_MASK = ENV.SCRATCH + 96;
export const MASKED_YMM = 4;
export const MASKED_STACK = 8;

/** Is the element at this byte offset chosen: the top bit of its mask. */
const isChosen = (cpu: X86Cpu, at: number, size: number): boolean => cpu.e8[MASKED_MASK + at + size - 1]! >= 0x80;
const bytesOf = (bits: number): number => ((bits & MASKED_YMM) !== 0 ? 32 : 16);
/** Nothing chosen: the address does not even have to be canonical. */
function anyChosen(cpu: X86Cpu, bits: number): boolean {
  const size = 1 << (bits & 3);
  for (let at = 0; at < bytesOf(bits); at += size) if (isChosen(cpu, at, size)) return true;
  return false;
}
const maskLoad: Factory = (cpu) => (low, high, bits) => {
  const size = 1 << (bits & 3);
  cpu.e8.fill(0, MASKED_DATA, MASKED_DATA + 32);
  if (!anyChosen(cpu, bits)) return 0;
  const address = linearOf(cpu, low, high, (bits & MASKED_STACK) !== 0);
  for (let at = 0; at < bytesOf(bits); at += size) {
    if (!isChosen(cpu, at, size)) continue;
    for (let k = at; k < at + size; k += 4) cpu.setEnv32(MASKED_DATA + k, cpu.read32(linearAt(cpu, address, k)));
  }
  return 0;
};
/** All that will be written is probed first. */
const maskStore: Factory = (cpu) => (low, high, bits) => {
  const size = 1 << (bits & 3);
  if (!anyChosen(cpu, bits)) return 0;
  const address = linearOf(cpu, low, high, (bits & MASKED_STACK) !== 0);
  for (let at = 0; at < bytesOf(bits); at += size)
    if (isChosen(cpu, at, size)) probe(cpu, linearAt(cpu, address, at), size, 1);
  for (let at = 0; at < bytesOf(bits); at += size) {
    if (!isChosen(cpu, at, size)) continue;
    for (let k = at; k < at + size; k += 4) cpu.write32(linearAt(cpu, address, k), cpu.env32(MASKED_DATA + k));
  }
  return 0;
};

/** Positions in the last argument of avx_gather. */
export const GATHER_DESTINATION = 0;
export const GATHER_INDEX = 4;
export const GATHER_MASK = 8;
export const GATHER_SCALE = 12;
/** log2 of the sizes of an element and of an index. */
export const GATHER_ELEMENT = 14;
export const GATHER_INDEX_SIZE = 16;
export const GATHER_SEGMENT = 18;
export const GATHER_YMM = 1 << 21;
export const GATHER_64 = 1 << 22;
/** 64-bit code, 32-bit addresses. */
export const GATHER_ADDRESS_32 = 1 << 23;

const TWO_32 = 0x1_0000_0000;
/**
 * Element by element, mask cleared as each is there: a fault finds the elements before it done, and the instruction goes on from
 * there when it is run again. SDM Vol. 2C "VPGATHERDD".
 */
const gather: Factory = (cpu) => (low, high, bits) => {
  const slot = (shift: number): number => ENV.XMM + XMM_STRIDE * ((bits >> shift) & 15);
  const destination = slot(GATHER_DESTINATION);
  const indices = slot(GATHER_INDEX);
  const mask = slot(GATHER_MASK);
  const size = 1 << ((bits >> GATHER_ELEMENT) & 3);
  const indexSize = 1 << ((bits >> GATHER_INDEX_SIZE) & 3);
  const segment = (bits >> GATHER_SEGMENT) & 7;
  const factor = 1 << ((bits >> GATHER_SCALE) & 3);
  const bytes = (bits & GATHER_YMM) !== 0 ? 32 : 16;
  const count = bytes / Math.max(size, indexSize);
  const base = ENV.SEG + segment * SEG_STRIDE + SEG_BASE;
  const based = segment >= FS || (cpu.hflags & HF_CS64) === 0;
  // as processors leave it when an element faults: each element of the mask's register all ones or zero, and zero behind them
  for (let at = mask; at < mask + bytes; at += size) {
    cpu.e8.fill(cpu.e8[at + size - 1]! >= 0x80 ? 0xff : 0, at, at + size);
  }
  cpu.e8.fill(0, mask + bytes, mask + 32);
  for (let n = 0; n < count; n++) {
    const at = n * size;
    if (cpu.e8[mask + at + size - 1]! >= 0x80) {
      const index = indices + n * indexSize;
      const indexLow = cpu.env32(index);
      const indexHigh = indexSize === 8 ? cpu.env32(index + 4) : indexLow >> 31;
      let sum = (low >>> 0) + (indexLow >>> 0) * factor;
      let top = (high + Math.imul(indexHigh, factor) + Math.floor(sum / TWO_32)) | 0;
      if ((bits & GATHER_64) === 0 || (bits & GATHER_ADDRESS_32) !== 0) top = 0;
      if (based) {
        sum = (sum >>> 0) + (cpu.env32(base) >>> 0);
        top = (bits & GATHER_64) === 0 ? 0 : (top + cpu.env32(base + 4) + Math.floor(sum / TWO_32)) | 0;
      }
      const address = linearOf(cpu, sum | 0, top, segment === SS);
      const value = cpu.read32(address);
      const upper = size === 8 ? cpu.read32(linearAt(cpu, address, 4)) : 0;
      cpu.setEnv32(destination + at, value);
      if (size === 8) cpu.setEnv32(destination + at + 4, upper);
      // what lies behind the vector length goes with the first element, since a later one may fault
      cpu.e8.fill(0, destination + bytes, destination + 32);
    }
    cpu.e8.fill(0, mask + at, mask + at + size);
  }
  cpu.e8.fill(0, mask, mask + 32);
  cpu.e8.fill(0, destination + count * size, destination + 32);
  return 0;
};

export const AVX_HELPERS: Readonly<Record<string, Factory>> = {
  avx_mask_load: maskLoad,
  avx_mask_store: maskStore,
  avx_gather: gather,
};
