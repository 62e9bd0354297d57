/**
 * MTRRs and memory types as storage with checks; they have no effect on caching here. SDM Vol. 3A §11.11 "Memory Type
 * Range Registers", §11.12 "Page Attribute Table". Layout in env from ENV.MTRR: 8 base/mask pairs, 11 fixed, default.
 */
import { ENV } from '../state.ts';

const PHYS_FIRST = 0x200;
const PHYS_LAST = 0x20f;
const DEF_TYPE = 0x2ff;
/** 64K, 16K x 2, 4K x 8. */
const FIXED = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];
const FIXED_AT = 16;
const DEF_TYPE_AT = FIXED_AT + FIXED.length;

/** Byte offset in env, or -1 if the MSR is no MTRR. */
export function mtrrOffset(msr: number): number {
  if (msr >= PHYS_FIRST && msr <= PHYS_LAST) return ENV.MTRR + (msr - PHYS_FIRST) * 8;
  if (msr === DEF_TYPE) return ENV.MTRR + DEF_TYPE_AT * 8;
  const fixed = FIXED.indexOf(msr);
  return fixed < 0 ? -1 : ENV.MTRR + (FIXED_AT + fixed) * 8;
}

/** UC 0, WC 1, WT 4, WP 5, WB 6; UC- 7 in the PAT only. */
const validType = (type: number, pat: boolean): boolean =>
  type === 0 || type === 1 || (type >= 4 && type <= 6) || (pat && type === 7);

/** Four types, one a byte. */
export function validMemoryTypes(dword: number, pat: boolean): boolean {
  for (let shift = 0; shift < 32; shift += 8) if (!validType((dword >>> shift) & 0xff, pat)) return false;
  return true;
}

/** Whether a value may be written; true for MSRs that are no MTRRs. `highMask`: bits that a physical address has in its high half. */
export function validMtrr(msr: number, low: number, high: number, highMask: number): boolean {
  if (msr >= PHYS_FIRST && msr <= PHYS_LAST) {
    if ((high & ~highMask) !== 0) return false;
    return (msr & 1) !== 0 ? (low & 0x7ff) === 0 : (low & 0xf00) === 0 && validType(low & 0xff, false);
  }
  if (msr === DEF_TYPE) return high === 0 && (low & ~0xcff) === 0 && validType(low & 0xff, false);
  return !FIXED.includes(msr) || (validMemoryTypes(low, false) && validMemoryTypes(high, false));
}
