/**
 * What all forms of paging share: bits of an entry, access rights of a mapping, page-fault error codes, the A20 gate.
 * SDM Vol. 3A §4.6 "Access Rights", §4.7 "Page-Fault Exceptions". Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import { F_LM, F_PAE, F_PSE36 } from '../models/features.ts';
import type { CpuFeatures } from '../models/features.ts';
import { ENV, FLAG_AC, HF_CPL } from '../state.ts';
import { TWO32 } from './address.ts';
import { CR0_WP, CR4_PAE, CR4_SMAP, CR4_SMEP, EFER_NXE, PF_I, PF_U, PF_W } from './cr-bits.ts';

export const PTE_P = 1 << 0;
export const PTE_W = 1 << 1;
export const PTE_U = 1 << 2;
export const PTE_A = 1 << 5;
export const PTE_D = 1 << 6;
export const PTE_PS = 1 << 7;
export const PTE_G = 1 << 8;
export const XD = 0x8000_0000;
export const READ = 1;
export const WRITE = 2;
export const EXECUTE = 4;
/** In place of a page fault's error code: the address has no place in the tables, which is #GP. */
export const NOT_CANONICAL = -1;

export function maskA20(cpu: X86Cpu, pa: number): number {
  const mask = cpu.e32[ENV.A20_MASK >> 2];
  if (mask === 0xffffffff) return pa;
  const lo = pa % TWO32;
  return pa - lo + ((lo & mask) >>> 0);
}

export function fault(cpu: X86Cpu, access: number, user: number, bits: number): boolean {
  const cr4 = cpu.e32[(ENV.CR + 32) >> 2];
  let code = bits;
  if (access === 1) code |= PF_W;
  if (user !== 0) code |= PF_U;
  // I/D only with SMEP, or PAE and NXE. SDM Vol. 3A §4.7.
  if (
    access === 2 &&
    ((cr4 & CR4_SMEP) !== 0 || ((cr4 & CR4_PAE) !== 0 && (cpu.e32[ENV.MSR_EFER >> 2] & EFER_NXE) !== 0))
  )
    code |= PF_I;
  cpu.faultError = code;
  return false;
}

/**
 * Rights of a present mapping. `rights`: AND of all levels' U and W bits. Returns WRITE|READ|EXECUTE at that
 * privilege, or 0 when this access is refused.
 */
export function allowed(
  cpu: X86Cpu,
  lin: number,
  rights: number,
  noExecute: boolean,
  access: number,
  user: number,
  commit: boolean,
): number {
  if (user !== 0) {
    if ((rights & PTE_U) === 0) return 0;
  } else if ((rights & PTE_U) !== 0) {
    const cr4 = cpu.e32[(ENV.CR + 32) >> 2];
    if ((cr4 & CR4_SMEP) !== 0) noExecute = true;
    if ((cr4 & CR4_SMAP) !== 0 && commit) {
      // At CPL 3 this is a table's read or a frame's write on the program's behalf, which AC does not allow.
      if ((cpu.ei32[ENV.EFLAGS >> 2] & FLAG_AC) === 0 || (cpu.ei32[ENV.HFLAGS >> 2] & HF_CPL) === 3)
        return access === 2 && !noExecute ? EXECUTE : 0;
      cpu.smapPages.add(lin);
    }
  }
  const writable = (rights & PTE_W) !== 0 || (user === 0 && (cpu.e32[ENV.CR >> 2] & CR0_WP) === 0);
  if (access === 1 && !writable) return 0;
  if (access === 2 && noExecute) return 0;
  return READ | (writable ? WRITE : 0) | (noExecute ? 0 : EXECUTE);
}

/** MAXPHYADDR: 40 with long mode, 36 with PAE or PSE-36, else 32. SDM Vol. 3A §4.1.4. */
export function physicalBits(f: CpuFeatures): number {
  if ((f.edxExt & F_LM) !== 0) return 40;
  return (f.edx1 & (F_PAE | F_PSE36)) !== 0 ? 36 : 32;
}
