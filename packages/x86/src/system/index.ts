/**
 * The script helpers of the system part, by the name that translated code calls: name -> (cpu) => (a, b, c, d) => result.
 * Arguments and results are i32. A helper that has changed EIP, flags or mode is the last act of its block.
 */
import type { X86Cpu } from '../cpu.ts';
import { cpuid } from './cpuid.ts';
import { clts, invlpg, invpcid, lmsw, movFromCr, movToCr } from './control-registers.ts';
import { checkInstructionBreakpoint, movFromDr, movToDr, singleStep } from './debug-registers.ts';
import { checkUmip, lgdt, lidt, lldt, ltr } from './descriptor-tables.ts';
import { random, rdpkru, setAccess, wrpkru, xgetbv, xsetbv } from './extended-control.ts';
import { farRet } from './far-return.ts';
import { farCall, farJmp } from './far-transfer.ts';
import { cli, popf, pushfValue, sti } from './flag-control.ts';
import { fpuFerr } from './fpu-error.ts';
import { hlt, monitor, mwait } from './halt.ts';
import { iret } from './iret.ts';
import { loadSeg } from './load-seg.ts';
import { farRetLong } from './long-return.ts';
import { rdmsr, wrmsr } from './msr.ts';
import { insOuts, portIn, portOut } from './port-io.ts';
import { lar, lsl, verr, verw } from './segment-query.ts';
import { softInterrupt } from './soft-interrupt.ts';
import { readFsGsBase, swapgs, syscall, sysret, writeFsGsBase } from './syscall.ts';
import { sysenter, sysexit } from './sysenter.ts';
import { rdpmc, rdtsc, rdtscp } from './time-stamp.ts';

type SystemHelper = (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number;

export const SYSTEM_HELPERS: Readonly<Record<string, SystemHelper>> = {
  load_seg: (cpu) => (seg, selector) => loadSeg(cpu, seg, selector),
  far_jmp: (cpu) => (selector, offset, size, nextEip) => farJmp(cpu, selector, offset, size, nextEip),
  far_call: (cpu) => (selector, offset, size, nextEip) => farCall(cpu, selector, offset, size, nextEip),
  far_ret: (cpu) => (size, immBytes) =>
    cpu.longMode ? farRetLong(cpu, size, immBytes & 0xffff) : farRet(cpu, size, immBytes),
  iret: (cpu) => (size, nextEip) => iret(cpu, size, nextEip),
  soft_int: (cpu) => (vector, nextEip, kind) => softInterrupt(cpu, vector, nextEip, kind),
  sysenter: (cpu) => () => sysenter(cpu),
  sysexit: (cpu) => (size) => sysexit(cpu, size),
  syscall: (cpu) => (nextEip) => syscall(cpu, nextEip >>> 0),
  sysret: (cpu) => (size) => sysret(cpu, size),
  swapgs: (cpu) => () => swapgs(cpu),
  read_fsgsbase: (cpu) => (seg) => readFsGsBase(cpu, seg),
  write_fsgsbase: (cpu) => (seg, low, high) => writeFsGsBase(cpu, seg, low, high),
  lldt: (cpu) => (selector) => lldt(cpu, selector),
  ltr: (cpu) => (selector) => ltr(cpu, selector),
  lgdt: (cpu) => (limit, base, high) => lgdt(cpu, limit, base, high),
  lidt: (cpu) => (limit, base, high) => lidt(cpu, limit, base, high),
  check_umip: (cpu) => () => checkUmip(cpu),
  lar: (cpu) => (selector, size) => lar(cpu, selector, size),
  lsl: (cpu) => (selector, size) => lsl(cpu, selector, size),
  verr: (cpu) => (selector) => verr(cpu, selector),
  verw: (cpu) => (selector) => verw(cpu, selector),
  mov_to_cr: (cpu) => (n, v, high) => movToCr(cpu, n, v, high),
  mov_from_cr: (cpu) => (n) => movFromCr(cpu, n),
  mov_to_dr: (cpu) => (n, v, high) => movToDr(cpu, n, v, high),
  mov_from_dr: (cpu) => (n) => movFromDr(cpu, n),
  clts: (cpu) => () => clts(cpu),
  lmsw: (cpu) => (v) => lmsw(cpu, v),
  invlpg: (cpu) => (lin, high) => invlpg(cpu, lin, high),
  invpcid: (cpu) => (type, high) => invpcid(cpu, type, high),
  xgetbv: (cpu) => () => xgetbv(cpu),
  xsetbv: (cpu) => () => xsetbv(cpu),
  rdpkru: (cpu) => () => rdpkru(cpu),
  wrpkru: (cpu) => () => wrpkru(cpu),
  stac: (cpu) => () => setAccess(cpu, true),
  clac: (cpu) => () => setAccess(cpu, false),
  rdrand: (cpu) => (size) => random(cpu, size),
  rdseed: (cpu) => (size) => random(cpu, size),
  /** Caches are not modelled: WBINVD and INVD do nothing. */
  wbinvd: () => () => 0,
  rdmsr: (cpu) => () => rdmsr(cpu),
  wrmsr: (cpu) => () => wrmsr(cpu),
  rdtsc: (cpu) => () => rdtsc(cpu),
  rdtscp: (cpu) => () => rdtscp(cpu),
  rdpmc: (cpu) => () => rdpmc(cpu),
  cpuid: (cpu) => () => cpuid(cpu),
  hlt: (cpu) => (nextEip) => hlt(cpu, nextEip),
  monitor: (cpu) => () => monitor(cpu),
  mwait: (cpu) => (nextEip) => mwait(cpu, nextEip),
  port_in: (cpu) => (port, size) => portIn(cpu, port, size),
  port_out: (cpu) => (port, size, v) => portOut(cpu, port, size, v),
  ins_outs: (cpu) => (kind, size, bits, nextEip) => insOuts(cpu, kind, size, bits, nextEip),
  cli: (cpu) => (nextEip) => cli(cpu, nextEip),
  sti: (cpu) => (nextEip) => sti(cpu, nextEip),
  pushf_value: (cpu) => (size) => pushfValue(cpu, size),
  popf: (cpu) => (value, size, nextEip) => popf(cpu, value, size, nextEip),
  raise: (cpu) => (vector, error) => cpu.raise(vector, error),
  single_step: (cpu) => () => singleStep(cpu),
  check_insn_breakpoint: (cpu) => (eip) => checkInstructionBreakpoint(cpu, eip),
  fpu_ferr: (cpu) => () => fpuFerr(cpu),
};
