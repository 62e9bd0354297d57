/**
 * MOV to and from CRn, CLTS, LMSW, INVLPG: #GP checks, PDPTE loads, TLB flushes.
 * SDM Vol. 3A §2.5 "Control Registers", §4.10.4 "Invalidation of TLBs", Vol. 2B "MOV - Move to/from Control Registers".
 * CPL is checked by the translator.
 */
import type { X86Cpu } from '../cpu.ts';
import { F_DE, F_FXSR, F_MCE, F_PAE, F_PGE, F_PSE, F_SSE, F_TSC, F_VME } from '../models/features.ts';
import type { CpuFeatures } from '../models/features.ts';
import { EXC } from '../state.ts';
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
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_TSD,
  CR4_VME,
} from './cr-bits.ts';
import { readPdptes } from './paging.ts';

const CR0_KNOWN = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** A change of these changes translations. */
const CR0_PAGING = CR0_PE | CR0_WP | CR0_PG;
const CR4_PAGING = CR4_PSE | CR4_PAE | CR4_PGE;

/** Bits of CR4 that exist with these features; 0: no CR4 (#UD). */
export function cr4Bits(f: CpuFeatures): number {
  const has = (bit: number, cr4: number): number => ((f.edx1 & bit) !== 0 ? cr4 : 0);
  const bits =
    has(F_VME, CR4_VME | CR4_PVI) |
    has(F_TSC, CR4_TSD) |
    has(F_DE, CR4_DE) |
    has(F_PSE, CR4_PSE) |
    has(F_PAE, CR4_PAE) |
    has(F_MCE, CR4_MCE) |
    has(F_PGE, CR4_PGE) |
    has(F_FXSR, CR4_OSFXSR) |
    has(F_SSE, CR4_OSXMMEXCPT);
  return bits === 0 ? 0 : bits | CR4_PCE;
}

export function movFromCr(cpu: X86Cpu, n: number): number {
  if (n !== 0 && n !== 2 && n !== 3 && (n !== 4 || cr4Bits(cpu.features) === 0)) cpu.raise(EXC.UD);
  return cpu.cr(n) | 0;
}

export function movToCr(cpu: X86Cpu, n: number, v: number): number {
  switch (n) {
    case 0:
      writeCr0(cpu, v);
      break;
    case 2:
      cpu.setCrRaw(2, v);
      break;
    case 3:
      writeCr3(cpu, v >>> 0);
      break;
    case 4:
      writeCr4(cpu, v);
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
  // PAE: PDPTEs are loaded when PG goes on or CD, NW, PG change. SDM §4.4.1.
  const reload = ((v ^ old) & (CR0_PG | CR0_CD | CR0_NW)) !== 0;
  if ((v & CR0_PG) !== 0 && (cpu.cr(4) & CR4_PAE) !== 0 && reload && !readPdptes(cpu, cpu.cr(3))) cpu.raise(EXC.GP, 0);
  cpu.setCrRaw(0, v);
  cpu.updateHflags();
  if (((v ^ old) & CR0_PAGING) !== 0) cpu.host.flushTlb(true);
}

function writeCr3(cpu: X86Cpu, v: number): void {
  if ((cpu.cr(0) & CR0_PG) !== 0 && (cpu.cr(4) & CR4_PAE) !== 0 && !readPdptes(cpu, v)) cpu.raise(EXC.GP, 0);
  cpu.setCrRaw(3, v);
  cpu.host.flushTlb(false);
}

function writeCr4(cpu: X86Cpu, v: number): void {
  const known = cr4Bits(cpu.features);
  if (known === 0) cpu.raise(EXC.UD);
  if ((v & ~known) !== 0) cpu.raise(EXC.GP, 0);
  const old = cpu.cr(4) | 0;
  const paging = ((v ^ old) & CR4_PAGING) !== 0;
  if (paging && (v & CR4_PAE) !== 0 && (cpu.cr(0) & CR0_PG) !== 0 && !readPdptes(cpu, cpu.cr(3))) cpu.raise(EXC.GP, 0);
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

export function invlpg(cpu: X86Cpu, lin: number): number {
  cpu.host.flushTlbPage(lin >>> 0);
  return 0;
}
