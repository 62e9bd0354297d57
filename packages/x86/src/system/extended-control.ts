/**
 * XCR0 (XGETBV, XSETBV), PKRU (RDPKRU, WRPKRU), EFLAGS.AC as the override of SMAP (STAC, CLAC), and random numbers.
 * SDM Vol. 2B and 2C, pages by mnemonic; Vol. 1 §13.3 "Enabling the XSAVE Feature Set". CPL is checked by the translator.
 */
import type { X86Cpu } from '../cpu.ts';
import { componentsInUse } from '../fpu/xsave.ts';
import { F_SMAP, F_XGETBV1 } from '../models/features.ts';
import { XCR0_AVX, XCR0_SSE, XCR0_X87, xcr0Supported } from '../models/xsave-layout.ts';
import { EAX, ECX, EDX, ENV, EXC, FLAGS_ARITH, FLAG_AC, FLAG_CF } from '../state.ts';
import { CR4_OSXSAVE, CR4_PKE } from './cr-bits.ts';

export function xgetbv(cpu: X86Cpu): number {
  if ((cpu.cr(4) & CR4_OSXSAVE) === 0) cpu.raise(EXC.UD);
  const n = cpu.reg(ECX);
  if (n !== 0 && (n !== 1 || (cpu.features.eaxD1 & F_XGETBV1) === 0)) cpu.raise(EXC.GP, 0);
  const xcr0 = cpu.env32(ENV.XCR0);
  cpu.setReg(EAX, n === 0 ? xcr0 : componentsInUse(cpu, xcr0, cpu.code64 ? 16 : 8));
  cpu.setReg(EDX, 0);
  return 0;
}

export function xsetbv(cpu: X86Cpu): number {
  if ((cpu.cr(4) & CR4_OSXSAVE) === 0) cpu.raise(EXC.UD);
  const v = cpu.reg(EAX);
  if (cpu.cpl !== 0 || cpu.reg(ECX) !== 0 || cpu.reg(EDX) !== 0) cpu.raise(EXC.GP, 0);
  if ((v & ~xcr0Supported(cpu.features)) !== 0 || (v & XCR0_X87) === 0) cpu.raise(EXC.GP, 0);
  if ((v & (XCR0_AVX | XCR0_SSE)) === XCR0_AVX) cpu.raise(EXC.GP, 0);
  cpu.setEnv32(ENV.XCR0, v);
  cpu.updateHflags();
  return 0;
}

export function rdpkru(cpu: X86Cpu): number {
  if ((cpu.cr(4) & CR4_PKE) === 0) cpu.raise(EXC.UD);
  if (cpu.reg(ECX) !== 0) cpu.raise(EXC.GP, 0);
  cpu.setReg(EAX, cpu.env32(ENV.PKRU));
  cpu.setReg(EDX, 0);
  return 0;
}

export function wrpkru(cpu: X86Cpu): number {
  if ((cpu.cr(4) & CR4_PKE) === 0) cpu.raise(EXC.UD);
  if (cpu.reg(ECX) !== 0 || cpu.reg(EDX) !== 0) cpu.raise(EXC.GP, 0);
  cpu.setPkru(cpu.reg(EAX));
  return 0;
}

/** AC at CPL 0 is no matter of block flags. */
export function setAccess(cpu: X86Cpu, on: boolean): number {
  if ((cpu.features.ebx7 & F_SMAP) === 0 || cpu.cpl !== 0) cpu.raise(EXC.UD);
  cpu.setEflags(on ? FLAG_AC : 0, FLAG_AC);
  return 0;
}

/** RDRAND, RDSEED: high half of the result in ENV.SCRATCH; CF says whether there is one. */
export function random(cpu: X86Cpu, size: number): number {
  const { host } = cpu;
  cpu.setEnv32(ENV.SCRATCH, 0);
  if (host.random32 === undefined) {
    cpu.setEflags(0, FLAGS_ARITH);
    return 0;
  }
  if (size === 8) cpu.setEnv32(ENV.SCRATCH, host.random32());
  cpu.setEflags(FLAG_CF, FLAGS_ARITH);
  const v = host.random32();
  return size === 2 ? v & 0xffff : v | 0;
}
