/**
 * Page walks: no paging, two-level with 4K and 4M pages (PSE, PSE-36), PAE with 4K and 2M pages and NX; four and five levels:
 * paging-long.ts. SMEP and SMAP in all of them.
 * SDM Vol. 3A §4.3 "32-Bit Paging", §4.4 "PAE Paging", §4.6 "Access Rights", §4.7 "Page-Fault Exceptions",
 * §4.8 "Accessed and Dirty Flags". Accessed and dirty bits are written only when the whole walk succeeded.
 * Table reads are physical: tables outside RAM read as all ones, which is an entry with reserved bits set or a page.
 * PWT, PCD and the PAT index have no effect. Hot path throughout: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import { F_PSE36 } from '../models/features.ts';
import { ENV, HF_LMA } from '../state.ts';
import { TWO32 } from './address.ts';
import { CR0_PG, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE, PF_P, PF_RSVD } from './cr-bits.ts';
import { walkLong } from './paging-long.ts';
import {
  EXECUTE,
  PTE_A,
  PTE_D,
  PTE_G,
  PTE_P,
  PTE_PS,
  READ,
  WRITE,
  XD,
  allowed,
  fault,
  maskA20,
} from './page-rights.ts';

/** High dword of a PAE entry: all but XD; of it bits from MAXPHYADDR on are reserved. */
export const PAE_HIGH = 0x7fffffff;
/** 2M page: bits 20:13. */
export const PAE_LARGE_RESERVED = 0x001fe000;
/** 4M page: bits 21:17 with PSE-36 (36-bit addresses), else bits 21:13. */
export const PSE36_RESERVED = 0x003e0000;
export const PSE_RESERVED = 0x003fe000;
/** PDPTE: bits 2:1, 8:5. SDM Table 4-8. */
const PDPTE_RESERVED = 0x1e6;

export function walk(cpu: X86Cpu, lin: number, access: number, user: number): boolean {
  if ((cpu.ei32[ENV.CR >> 2] & CR0_PG) === 0) {
    cpu.walkPhys = maskA20(cpu, lin);
    cpu.walkProt = READ | WRITE | EXECUTE;
    cpu.walkPageBits = 12;
    cpu.walkGlobal = false;
    return true;
  }
  if ((cpu.ei32[ENV.HFLAGS >> 2] & HF_LMA) !== 0) return walkLong(cpu, lin, access, user, true);
  return (cpu.e32[(ENV.CR + 32) >> 2] & CR4_PAE) !== 0
    ? walkPae(cpu, lin, access, user, true)
    : walk32(cpu, lin, access, user, true);
}

/** Translation without rights, side effects or results in cpu.walk*: -1 if not mapped. */
export function debugTranslate(cpu: X86Cpu, lin: number): number {
  const { walkPhys, walkProt, walkPageBits, walkGlobal, faultError } = cpu;
  let found = true;
  if ((cpu.ei32[ENV.CR >> 2] & CR0_PG) === 0) cpu.walkPhys = maskA20(cpu, lin);
  else if (cpu.longMode) found = walkLong(cpu, lin, 0, 0, false);
  else found = (cpu.cr(4) & CR4_PAE) !== 0 ? walkPae(cpu, lin, 0, 0, false) : walk32(cpu, lin, 0, 0, false);
  const pa = found ? cpu.walkPhys : -1;
  cpu.walkPhys = walkPhys;
  cpu.walkProt = walkProt;
  cpu.walkPageBits = walkPageBits;
  cpu.walkGlobal = walkGlobal;
  cpu.faultError = faultError;
  return pa;
}

function walk32(cpu: X86Cpu, lin: number, access: number, user: number, commit: boolean): boolean {
  const { host } = cpu;
  const cr4 = cpu.e32[(ENV.CR + 32) >> 2];
  const pdeAt = maskA20(cpu, ((cpu.e32[(ENV.CR + 24) >> 2] & 0xfffff000) >>> 0) + ((lin >>> 22) << 2));
  const pde = host.physRead32(pdeAt);
  if ((pde & PTE_P) === 0) return fault(cpu, access, user, 0);
  const dirty = access === 1 ? PTE_D : 0;

  if ((pde & PTE_PS) !== 0 && (cr4 & CR4_PSE) !== 0) {
    const wide = (cpu.features.edx1 & F_PSE36) !== 0;
    if ((pde & (wide ? PSE36_RESERVED : PSE_RESERVED)) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
    const prot = allowed(cpu, lin, pde, false, access, user, commit);
    if (prot === 0) return fault(cpu, access, user, PF_P);
    const wanted = pde | PTE_A | dirty;
    if (commit && wanted !== pde) host.physWrite32(pdeAt, wanted >>> 0);
    const high = wide ? (pde >>> 13) & 15 : 0;
    cpu.walkPhys = maskA20(cpu, high * TWO32 + ((pde & 0xffc00000) >>> 0) + (lin & 0x3fffff));
    cpu.walkProt = (wanted & PTE_D) !== 0 ? prot : prot & ~WRITE;
    cpu.walkPageBits = 22;
    cpu.walkGlobal = (pde & PTE_G) !== 0 && (cr4 & CR4_PGE) !== 0;
    return true;
  }

  const pteAt = maskA20(cpu, ((pde & 0xfffff000) >>> 0) + (((lin >>> 12) & 0x3ff) << 2));
  const pte = host.physRead32(pteAt);
  if ((pte & PTE_P) === 0) return fault(cpu, access, user, 0);
  const prot = allowed(cpu, lin, pde & pte, false, access, user, commit);
  if (prot === 0) return fault(cpu, access, user, PF_P);
  const wanted = pte | PTE_A | dirty;
  if (commit) {
    if ((pde & PTE_A) === 0) host.physWrite32(pdeAt, (pde | PTE_A) >>> 0);
    if (wanted !== pte) host.physWrite32(pteAt, wanted >>> 0);
  }
  cpu.walkPhys = maskA20(cpu, ((pte & 0xfffff000) >>> 0) + (lin & 0xfff));
  cpu.walkProt = (wanted & PTE_D) !== 0 ? prot : prot & ~WRITE;
  cpu.walkPageBits = 12;
  cpu.walkGlobal = (pte & PTE_G) !== 0 && (cr4 & CR4_PGE) !== 0;
  return true;
}

function walkPae(cpu: X86Cpu, lin: number, access: number, user: number, commit: boolean): boolean {
  const { host } = cpu;
  const nxe = (cpu.e32[ENV.MSR_EFER >> 2] & EFER_NXE) !== 0;
  const reservedHigh = (PAE_HIGH & ~cpu.pteHighMask) | (nxe ? 0 : XD);
  const slot = (lin >>> 30) << 1;
  const pdpte = cpu.pdptes[slot];
  if ((pdpte & PTE_P) === 0) return fault(cpu, access, user, 0);

  const pdeAt = maskA20(
    cpu,
    (cpu.pdptes[slot + 1] & cpu.pteHighMask) * TWO32 + ((pdpte & 0xfffff000) >>> 0) + (((lin >>> 21) & 0x1ff) << 3),
  );
  const pde = host.physRead32(pdeAt);
  if ((pde & PTE_P) === 0) return fault(cpu, access, user, 0);
  const pdeHigh = host.physRead32(pdeAt + 4);
  if ((pdeHigh & reservedHigh) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
  const dirty = access === 1 ? PTE_D : 0;

  if ((pde & PTE_PS) !== 0) {
    if ((pde & PAE_LARGE_RESERVED) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
    const prot = allowed(cpu, lin, pde, (pdeHigh & XD) !== 0, access, user, commit);
    if (prot === 0) return fault(cpu, access, user, PF_P);
    const wanted = pde | PTE_A | dirty;
    if (commit && wanted !== pde) host.physWrite32(pdeAt, wanted >>> 0);
    cpu.walkPhys = maskA20(cpu, (pdeHigh & cpu.pteHighMask) * TWO32 + ((pde & 0xffe00000) >>> 0) + (lin & 0x1fffff));
    cpu.walkProt = (wanted & PTE_D) !== 0 ? prot : prot & ~WRITE;
    cpu.walkPageBits = 21;
    cpu.walkGlobal = (pde & PTE_G) !== 0 && (cpu.e32[(ENV.CR + 32) >> 2] & CR4_PGE) !== 0;
    return true;
  }

  const pteAt = maskA20(
    cpu,
    (pdeHigh & cpu.pteHighMask) * TWO32 + ((pde & 0xfffff000) >>> 0) + (((lin >>> 12) & 0x1ff) << 3),
  );
  const pte = host.physRead32(pteAt);
  if ((pte & PTE_P) === 0) return fault(cpu, access, user, 0);
  const pteHigh = host.physRead32(pteAt + 4);
  if ((pteHigh & reservedHigh) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
  const prot = allowed(cpu, lin, pde & pte, ((pdeHigh | pteHigh) & XD) !== 0, access, user, commit);
  if (prot === 0) return fault(cpu, access, user, PF_P);
  const wanted = pte | PTE_A | dirty;
  if (commit) {
    if ((pde & PTE_A) === 0) host.physWrite32(pdeAt, (pde | PTE_A) >>> 0);
    if (wanted !== pte) host.physWrite32(pteAt, wanted >>> 0);
  }
  cpu.walkPhys = maskA20(cpu, (pteHigh & cpu.pteHighMask) * TWO32 + ((pte & 0xfffff000) >>> 0) + (lin & 0xfff));
  cpu.walkProt = (wanted & PTE_D) !== 0 ? prot : prot & ~WRITE;
  cpu.walkPageBits = 12;
  cpu.walkGlobal = (pte & PTE_G) !== 0 && (cpu.e32[(ENV.CR + 32) >> 2] & CR4_PGE) !== 0;
  return true;
}

/**
 * Load the four PDPTEs that CR3 points to. False, with nothing changed, if a present one has a reserved bit set:
 * the writer of CR0, CR3 or CR4 raises #GP(0). SDM Vol. 3A §4.4.1 "PDPTE Registers".
 */
export function loadPdptes(cpu: X86Cpu, cr3: number): boolean {
  if ((cpu.ei32[ENV.CR >> 2] & CR0_PG) === 0 || (cpu.cr(4) & CR4_PAE) === 0) return true;
  return readPdptes(cpu, cr3);
}

/** As `loadPdptes` whatever CR0 and CR4 say (they are about to be written). */
export function readPdptes(cpu: X86Cpu, cr3: number): boolean {
  const base = (cr3 & 0xffffffe0) >>> 0;
  const fresh = cpu.pdptesRead;
  for (let i = 0; i < 8; i++) fresh[i] = cpu.host.physRead32(maskA20(cpu, base + i * 4));
  for (let i = 0; i < 8; i += 2) {
    if ((fresh[i] & PTE_P) !== 0 && ((fresh[i] & PDPTE_RESERVED) !== 0 || (fresh[i + 1] & ~cpu.pteHighMask) !== 0))
      return false;
  }
  cpu.pdptes.set(fresh);
  return true;
}
