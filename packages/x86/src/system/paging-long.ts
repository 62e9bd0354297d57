/**
 * Paging in long mode, with four or five levels: 4K, 2M and 1G pages, NX, protection keys. SDM Vol. 3A §4.5 "4-Level Paging and 5-Level
 * Paging", Tables 4-14 to 4-20, §4.6.2 "Protection Keys". As in paging.ts, accessed and dirty bits are written only when the whole
 * walk succeeded. A linear address is a number (linear-numbers.ts); it is split once. Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import { F_PDPE1GB } from '../models/features.ts';
import { ENV } from '../state.ts';
import { TWO32 } from './address.ts';
import { CR0_WP, CR4_PGE, CR4_PKE, EFER_NXE, PF_P, PF_PK, PF_RSVD } from './cr-bits.ts';
import {
  NOT_CANONICAL,
  PTE_A,
  PTE_D,
  PTE_G,
  PTE_P,
  PTE_PS,
  PTE_U,
  PTE_W,
  READ,
  WRITE,
  XD,
  allowed,
  fault,
  maskA20,
} from './page-rights.ts';

/** High dword: bits 51 to 32 of the address; those above it are ignored or a protection key. */
export const ADDRESS_HIGH = 0xfffff;
const ADDRESS_LOW = 0xfffff000;
const ALL = PTE_P | PTE_W | PTE_U | PTE_A;
/** 2M page: bits 20:13. 1G page: bits 29:13. */
export const RESERVED_2M = 0x001fe000;
export const RESERVED_1G = 0x3fffe000;

export function walkLong(cpu: X86Cpu, lin: number, access: number, user: number, commit: boolean): boolean {
  if (!cpu.linear.canonical(lin)) {
    cpu.faultError = NOT_CANONICAL;
    return false;
  }
  const { host, pteHighMask } = cpu;
  const e = cpu.e32;
  const low = lin >>> 0;
  const high = cpu.linear.high(lin);
  const reserved = (ADDRESS_HIGH & ~pteHighMask) | ((e[ENV.MSR_EFER >> 2] & EFER_NXE) !== 0 ? 0 : XD);

  // CR3 is as an entry that allows everything and has been accessed.
  const root = e[(ENV.CR + 24) >> 2];
  const rootHigh = e[(ENV.CR + 28) >> 2];
  let at5 = 0;
  let e5 = ALL;
  let h5 = 0;
  if (cpu.linear.wide) {
    at5 = entryAt(cpu, root, rootHigh, (high >>> 16) & 0x1ff);
    e5 = host.physRead32(at5);
    if ((e5 & PTE_P) === 0) return fault(cpu, access, user, 0);
    h5 = host.physRead32(at5 + 4);
    if ((h5 & reserved) !== 0 || (e5 & PTE_PS) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
  }

  const index4 = (high >>> 7) & 0x1ff;
  const at4 = cpu.linear.wide ? entryAt(cpu, e5, h5, index4) : entryAt(cpu, root, rootHigh, index4);
  const e4 = host.physRead32(at4);
  if ((e4 & PTE_P) === 0) return fault(cpu, access, user, 0);
  const h4 = host.physRead32(at4 + 4);
  if ((h4 & reserved) !== 0 || (e4 & PTE_PS) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);

  const at3 = entryAt(cpu, e4, h4, ((high & 0x7f) << 2) | (low >>> 30));
  const e3 = host.physRead32(at3);
  if ((e3 & PTE_P) === 0) return fault(cpu, access, user, 0);
  const h3 = host.physRead32(at3 + 4);
  if ((h3 & reserved) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
  if ((e3 & PTE_PS) !== 0) {
    if ((cpu.features.edxExt & F_PDPE1GB) === 0 || (e3 & RESERVED_1G) !== 0)
      return fault(cpu, access, user, PF_P | PF_RSVD);
    if (!mapped(cpu, lin, e5 & e4 & e3, h5 | h4 | h3, e3, h3, access, user, commit)) return false;
    if (commit) {
      setAccessed(cpu, at5, e5);
      setAccessed(cpu, at4, e4);
      finish(cpu, at3, e3, access);
    }
    return done(cpu, e3, h3, 30, 0xc0000000, low);
  }

  const at2 = entryAt(cpu, e3, h3, (low >>> 21) & 0x1ff);
  const e2 = host.physRead32(at2);
  if ((e2 & PTE_P) === 0) return fault(cpu, access, user, 0);
  const h2 = host.physRead32(at2 + 4);
  if ((h2 & reserved) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
  if ((e2 & PTE_PS) !== 0) {
    if ((e2 & RESERVED_2M) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
    if (!mapped(cpu, lin, e5 & e4 & e3 & e2, h5 | h4 | h3 | h2, e2, h2, access, user, commit)) return false;
    if (commit) {
      setAccessed(cpu, at5, e5);
      setAccessed(cpu, at4, e4);
      setAccessed(cpu, at3, e3);
      finish(cpu, at2, e2, access);
    }
    return done(cpu, e2, h2, 21, 0xffe00000, low);
  }

  const at1 = entryAt(cpu, e2, h2, (low >>> 12) & 0x1ff);
  const e1 = host.physRead32(at1);
  if ((e1 & PTE_P) === 0) return fault(cpu, access, user, 0);
  const h1 = host.physRead32(at1 + 4);
  if ((h1 & reserved) !== 0) return fault(cpu, access, user, PF_P | PF_RSVD);
  if (!mapped(cpu, lin, e5 & e4 & e3 & e2 & e1, h5 | h4 | h3 | h2 | h1, e1, h1, access, user, commit)) return false;
  if (commit) {
    setAccessed(cpu, at5, e5);
    setAccessed(cpu, at4, e4);
    setAccessed(cpu, at3, e3);
    setAccessed(cpu, at2, e2);
    finish(cpu, at1, e1, access);
  }
  return done(cpu, e1, h1, 12, ADDRESS_LOW, low);
}

const entryAt = (cpu: X86Cpu, low: number, high: number, index: number): number =>
  maskA20(cpu, (high & cpu.pteHighMask) * TWO32 + ((low & ADDRESS_LOW) >>> 0) + index * 8);

/** Rights; in cpu.walkProt what is allowed, dirty or not. False: the fault is recorded. */
function mapped(
  cpu: X86Cpu,
  lin: number,
  rights: number,
  highs: number,
  leaf: number,
  leafHigh: number,
  access: number,
  user: number,
  commit: boolean,
): boolean {
  let prot = allowed(cpu, lin, rights, (highs & XD) !== 0, access, user, commit);
  if (prot === 0) return fault(cpu, access, user, PF_P);
  if (commit && (rights & PTE_U) !== 0 && (cpu.e32[(ENV.CR + 32) >> 2] & CR4_PKE) !== 0) {
    const refused = keyRefuses(cpu, (leafHigh >>> 27) & 15, user);
    if ((access === 0 && (refused & READ) !== 0) || (access === 1 && (refused & WRITE) !== 0))
      return fault(cpu, access, user, PF_P | PF_PK);
    prot &= ~refused;
  }
  const dirty = (leaf & PTE_D) !== 0 || access === 1;
  cpu.walkProt = dirty ? prot : prot & ~WRITE;
  return true;
}

/** READ and WRITE as the page's key forbids them; fetches are not its business. */
function keyRefuses(cpu: X86Cpu, key: number, user: number): number {
  const pair = (cpu.e32[ENV.PKRU >> 2] >>> (2 * key)) & 3;
  if ((pair & 1) !== 0) return READ | WRITE;
  return (pair & 2) !== 0 && (user !== 0 || (cpu.e32[ENV.CR >> 2] & CR0_WP) !== 0) ? WRITE : 0;
}

function setAccessed(cpu: X86Cpu, at: number, entry: number): void {
  if ((entry & PTE_A) === 0) cpu.host.physWrite32(at, (entry | PTE_A) >>> 0);
}

/** Accessed and dirty of the entry that maps the page. */
function finish(cpu: X86Cpu, at: number, entry: number, access: number): void {
  const wanted = entry | PTE_A | (access === 1 ? PTE_D : 0);
  if (wanted !== entry) cpu.host.physWrite32(at, wanted >>> 0);
}

function done(cpu: X86Cpu, entry: number, high: number, bits: number, frame: number, low: number): boolean {
  cpu.walkPhys = maskA20(cpu, (high & cpu.pteHighMask) * TWO32 + ((entry & frame) >>> 0) + ((low & ~frame) >>> 0));
  cpu.walkPageBits = bits;
  cpu.walkGlobal = (entry & PTE_G) !== 0 && (cpu.e32[(ENV.CR + 32) >> 2] & CR4_PGE) !== 0;
  return true;
}
