/**
 * MOV to and from CRn, CLTS, LMSW, INVLPG, INVPCID: #GP checks, PDPTE loads, entry into long mode and out of it, TLB flushes.
 * SDM Vol. 3A §2.5 "Control Registers", §4.10.4 "Invalidation of TLBs", §9.8.5 "Initializing IA-32e Mode",
 * Vol. 2B "MOV - Move to/from Control Registers". CPL is checked by the translator.
 * The TLB knows no process-context identifiers: a load of CR3 drops all that is not global, with CR3 bit 63 set too.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  F_DE,
  F_FSGSBASE,
  F_FXSR,
  F_LA57,
  F_MCE,
  F_PAE,
  F_PCID,
  F_PGE,
  F_PKU,
  F_PSE,
  F_SMAP,
  F_SMEP,
  F_SSE,
  F_TSC,
  F_UMIP,
  F_VME,
  F_XSAVE,
} from '../models/features.ts';
import type { CpuFeatures } from '../models/features.ts';
import { CS, ENV, EXC, SEG_FLAGS } from '../state.ts';
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_LA57,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_LMA,
  EFER_LME,
} from './cr-bits.ts';
import { DESC_L, DESC_TYPE_SHIFT } from './descriptor-bits.ts';
import { readPdptes } from './paging.ts';

const CR0_KNOWN = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** A change of these changes translations. */
const CR0_PAGING = CR0_PE | CR0_WP | CR0_PG;
const CR4_PAGING = CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE;
/** CR3 bit 63 in a value to be loaded: other address spaces' translations may stay. */
const CR3_KEEP_HIGH = 0x8000_0000;
const PCID = 0xfff;

/** Bits of CR4 that exist with these features; 0: no CR4 (#UD). */
export function cr4Bits(f: CpuFeatures): number {
  const has = (bit: number, cr4: number, word = f.edx1): number => ((word & bit) !== 0 ? cr4 : 0);
  const bits =
    has(F_VME, CR4_VME | CR4_PVI) |
    has(F_TSC, CR4_TSD) |
    has(F_DE, CR4_DE) |
    has(F_PSE, CR4_PSE) |
    has(F_PAE, CR4_PAE) |
    has(F_MCE, CR4_MCE) |
    has(F_PGE, CR4_PGE) |
    has(F_FXSR, CR4_OSFXSR) |
    has(F_SSE, CR4_OSXMMEXCPT) |
    has(F_UMIP, CR4_UMIP, f.ecx7) |
    has(F_LA57, CR4_LA57, f.ecx7) |
    has(F_FSGSBASE, CR4_FSGSBASE, f.ebx7) |
    has(F_PCID, CR4_PCIDE, f.ecx1) |
    has(F_XSAVE, CR4_OSXSAVE, f.ecx1) |
    has(F_SMEP, CR4_SMEP, f.ebx7) |
    has(F_SMAP, CR4_SMAP, f.ebx7) |
    has(F_PKU, CR4_PKE, f.ecx7);
  return bits === 0 ? 0 : bits | CR4_PCE;
}

/** High half of the result in ENV.SCRATCH. CR8 exists in 64-bit code only. */
export function movFromCr(cpu: X86Cpu, n: number): number {
  cpu.setEnv32(ENV.SCRATCH, 0);
  if (n === 8 && cpu.code64) return cpu.host.apicTpr?.() ?? cpu.env32(ENV.CR + CR8_SLOT) | 0;
  if (n !== 0 && n !== 2 && n !== 3 && (n !== 4 || cr4Bits(cpu.features) === 0)) cpu.raise(EXC.UD);
  cpu.setEnv32(ENV.SCRATCH, cpu.crHigh(n));
  return cpu.cr(n) | 0;
}

/** Behind CR0 to CR4 and three that do not exist: place of CR8. */
const CR8_SLOT = 8 * 8;

export function movToCr(cpu: X86Cpu, n: number, v: number, high = 0): number {
  switch (n) {
    case 0:
      if (high !== 0) cpu.raise(EXC.GP, 0);
      writeCr0(cpu, v);
      break;
    case 2:
      cpu.setCrRaw(2, v, high);
      break;
    case 3:
      writeCr3(cpu, v >>> 0, high);
      break;
    case 4:
      if (high !== 0) cpu.raise(EXC.GP, 0);
      writeCr4(cpu, v);
      break;
    case 8:
      if (!cpu.code64) cpu.raise(EXC.UD);
      if (high !== 0 || (v & ~15) !== 0) cpu.raise(EXC.GP, 0);
      cpu.setEnv32(ENV.CR + CR8_SLOT, v);
      cpu.host.setApicTpr?.(v);
      break;
    default:
      cpu.raise(EXC.UD);
  }
  return 0;
}

function writeCr0(cpu: X86Cpu, v: number): void {
  // Undefined bits are ignored; ET reads as 1.
  v = (v & CR0_KNOWN) | CR0_ET;
  const old = cpu.cr(0) | 0;
  if ((v & CR0_PG) !== 0 && (v & CR0_PE) === 0) cpu.raise(EXC.GP, 0);
  if ((v & CR0_NW) !== 0 && (v & CR0_CD) === 0) cpu.raise(EXC.GP, 0);
  const efer = cpu.env32(ENV.MSR_EFER);
  let long = (efer & EFER_LMA) !== 0;
  if (((v ^ old) & CR0_PG) !== 0) {
    if ((v & CR0_PG) !== 0) {
      long = (efer & EFER_LME) !== 0;
      if (long) checkLongEntry(cpu);
    } else {
      // Out of 64-bit code, and under process-context identifiers, there is no way.
      if (cpu.code64 || (cpu.cr(4) & CR4_PCIDE) !== 0) cpu.raise(EXC.GP, 0);
      long = false;
    }
  }
  // PAE: PDPTEs are loaded when PG goes on or CD, NW, PG change. SDM §4.4.1.
  const reload = ((v ^ old) & (CR0_PG | CR0_CD | CR0_NW)) !== 0;
  const pae = (v & CR0_PG) !== 0 && (cpu.cr(4) & CR4_PAE) !== 0 && !long;
  if (pae && reload && !readPdptes(cpu, cpu.cr(3))) cpu.raise(EXC.GP, 0);
  cpu.setCrRaw(0, v);
  cpu.setEnv32(ENV.MSR_EFER, long ? efer | EFER_LMA : efer & ~EFER_LMA);
  cpu.updateHflags();
  if (((v ^ old) & CR0_PAGING) !== 0) cpu.host.flushTlb(true);
}

/** SDM Vol. 3A §9.8.5 and §9.8.5.1: PAE must be on, CS must not be a 64-bit segment already, TR not of a 16-bit TSS. */
function checkLongEntry(cpu: X86Cpu): void {
  const wideTss = ((cpu.env32(ENV.TR + SEG_FLAGS) >>> DESC_TYPE_SHIFT) & 8) !== 0;
  if ((cpu.cr(4) & CR4_PAE) === 0 || (cpu.segFlags(CS) & DESC_L) !== 0 || !wideTss) cpu.raise(EXC.GP, 0);
}

function writeCr3(cpu: X86Cpu, v: number, high: number): void {
  if (cpu.longMode) {
    if ((cpu.cr(4) & CR4_PCIDE) !== 0) high &= ~CR3_KEEP_HIGH;
    if ((high & ~cpu.pteHighMask) !== 0) cpu.raise(EXC.GP, 0);
  } else if ((cpu.cr(0) & CR0_PG) !== 0 && (cpu.cr(4) & CR4_PAE) !== 0 && !readPdptes(cpu, v)) cpu.raise(EXC.GP, 0);
  cpu.setCrRaw(3, v, high);
  cpu.host.flushTlb(false);
}

function writeCr4(cpu: X86Cpu, v: number): void {
  const known = cr4Bits(cpu.features);
  if (known === 0) cpu.raise(EXC.UD);
  if ((v & ~known) !== 0) cpu.raise(EXC.GP, 0);
  const old = cpu.cr(4) | 0;
  const long = cpu.longMode;
  if (long && ((v & CR4_PAE) === 0 || ((v ^ old) & CR4_LA57) !== 0)) cpu.raise(EXC.GP, 0);
  // Identifiers begin with 0, in long mode.
  if ((v & ~old & CR4_PCIDE) !== 0 && (!long || (cpu.cr(3) & PCID) !== 0)) cpu.raise(EXC.GP, 0);
  const paging = ((v ^ old) & CR4_PAGING) !== 0;
  const pae = paging && !long && (v & CR4_PAE) !== 0 && (cpu.cr(0) & CR0_PG) !== 0;
  if (pae && !readPdptes(cpu, cpu.cr(3))) cpu.raise(EXC.GP, 0);
  cpu.setCrRaw(4, v);
  cpu.updateHflags();
  if (paging) cpu.host.flushTlb(true);
}

export function clts(cpu: X86Cpu): number {
  cpu.setCrRaw(0, cpu.cr(0) & ~CR0_TS);
  cpu.updateHflags();
  return 0;
}

/** LMSW: PE MP EM TS; PE cannot be cleared. */
export function lmsw(cpu: X86Cpu, v: number): number {
  const old = cpu.cr(0);
  writeCr0(cpu, (old & ~(CR0_MP | CR0_EM | CR0_TS)) | (v & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
  return 0;
}

/** An address that is not canonical has no translation to drop. SDM Vol. 2A "INVLPG". */
export function invlpg(cpu: X86Cpu, lin: number, high: number): number {
  if (!cpu.code64) cpu.host.flushTlbPage(lin >>> 0);
  else if (cpu.linear.canonicalHigh(high)) cpu.host.flushTlbPage(cpu.linear.of(lin, high));
  return 0;
}

/** The descriptor is in ENV.SCRATCH: PCID in bits 11:0, 63:12 reserved, then the address. SDM Vol. 2A "INVPCID". */
export function invpcid(cpu: X86Cpu, type: number, typeHigh: number): number {
  const pcid = cpu.env32(ENV.SCRATCH);
  if (typeHigh !== 0 || type >>> 0 > 3) cpu.raise(EXC.GP, 0);
  if ((pcid & ~PCID) !== 0 || cpu.env32(ENV.SCRATCH + 4) !== 0) cpu.raise(EXC.GP, 0);
  if (type < 2 && pcid !== 0 && (cpu.cr(4) & CR4_PCIDE) === 0) cpu.raise(EXC.GP, 0);
  if (type === 0) {
    const high = cpu.env32(ENV.SCRATCH + 12);
    if (cpu.code64 && !cpu.linear.canonicalBase(high)) cpu.raise(EXC.GP, 0);
    if (!cpu.code64) cpu.host.flushTlbPage(cpu.env32(ENV.SCRATCH + 8));
    else if (cpu.linear.canonicalHigh(high)) cpu.host.flushTlbPage(cpu.envNumber(ENV.SCRATCH + 8));
  } else cpu.host.flushTlb(type === 2);
  return 0;
}
