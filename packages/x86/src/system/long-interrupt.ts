/**
 * Entry into an interrupt or exception handler in long mode: 16-byte gates, always to 64-bit code; the stack by privilege level
 * or interrupt stack table, aligned to 16 bytes; SS:RSP always pushed, every slot of 64 bits, SS null after a change of level.
 * SDM Vol. 3A §6.14 "Exception and Interrupt Handling in 64-bit Mode", Vol. 2A "INT n" IA-32e-MODE.
 * Checks and pushes come before the first register changes. cpu.ext is the EXT bit, set by the caller. Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  CS,
  ENV,
  ESP,
  EXC,
  FLAG_IF,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  HF_CPL,
  HF_CS64,
  SEG_SELECTOR,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import {
  DESC_B,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_KEPT,
  DESC_L,
  DESC_P,
  DESC_S,
  DESC_TYPE_SHIFT,
  SYS_INT_GATE32,
  SYS_TRAP_GATE32,
} from './descriptor-bits.ts';
import { descriptorLimit, fetchDescriptor, markAccessed, plainWord } from './descriptor.ts';
import { loadCode64, loadNullStack, tssStack } from './long-code.ts';
import { openStack64, push64 } from './stack.ts';

const CS_SELECTOR = (ENV.SEG + CS * SEG_STRIDE + SEG_SELECTOR) >> 2;
const SS_SELECTOR = (ENV.SEG + SS * SEG_STRIDE + SEG_SELECTOR) >> 2;

/** `hasDpl`: the gate's DPL is checked (INT n, INT3, INTO). error -1: none is pushed. */
export function enterLong(
  cpu: X86Cpu,
  vector: number,
  hasDpl: boolean,
  error: number,
  flags: number,
  ripLow: number,
  ripHigh: number,
): void {
  const e = cpu.e32;
  const { ext } = cpu;
  const gateError = (vector << 3) | 2 | ext;
  if (vector * 16 + 15 > e[ENV.IDT_LIMIT >> 2]) cpu.raise(EXC.GP, gateError);
  const at = cpu.envNumber(ENV.IDT_BASE) + vector * 16;
  const lo = cpu.readSys32(at);
  const hi = cpu.readSys32(at + 4);
  const upper = cpu.readSys32(at + 8);
  const type = (hi >>> DESC_TYPE_SHIFT) & 31;
  if (type !== SYS_INT_GATE32 && type !== SYS_TRAP_GATE32) cpu.raise(EXC.GP, gateError);
  const cpl = cpu.ei32[ENV.HFLAGS >> 2] & HF_CPL;
  if (hasDpl && ((hi >>> DESC_DPL_SHIFT) & 3) < cpl) cpu.raise(EXC.GP, gateError);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, gateError);

  const selector = lo >>> 16;
  const selError = (selector & 0xfffc) | ext;
  if ((selector & 0xfffc) === 0) cpu.raise(EXC.GP, ext);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, selError);
  const codeHi = cpu.descHi;
  const dpl = (codeHi >>> DESC_DPL_SHIFT) & 3;
  if ((codeHi & (DESC_S | DESC_CODE)) !== (DESC_S | DESC_CODE) || dpl > cpl) cpu.raise(EXC.GP, selError);
  if ((codeHi & (DESC_L | DESC_B)) !== DESC_L) cpu.raise(EXC.GP, selError);
  if ((codeHi & DESC_P) === 0) cpu.raise(EXC.NP, selError);
  if (!cpu.linear.canonicalHigh(upper)) cpu.raise(EXC.GP, ext);
  const codeLo = cpu.descLo;
  markAccessed(cpu);
  const codeFlags = cpu.descHi & DESC_KEPT;

  const inner = dpl < cpl && (codeHi & DESC_CONFORMING) === 0;
  const newCpl = inner ? dpl : cpl;
  const ist = hi & 7;
  const top = inner || ist !== 0 ? tssStack(cpu, dpl, ist) : currentRsp(cpu);
  const aligned = top - (top & 15);
  pushFrame(cpu, aligned, newCpl === 3 ? 1 : 0, error, flags, ripLow, ripHigh);

  if (inner) loadNullStack(cpu, dpl);
  let cleared = FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT;
  if (type === SYS_INT_GATE32) cleared |= FLAG_IF;
  cpu.ei32[ENV.EFLAGS >> 2] &= ~cleared;
  const rsp = aligned - (error >= 0 ? 48 : 40);
  cpu.setReg64(ESP, rsp, cpu.linear.high(rsp));
  const target = ((hi & 0xffff0000) | (lo & 0xffff)) >>> 0;
  const limit = descriptorLimit(codeLo, codeHi);
  loadCode64(cpu, (selector & 0xfffc) | newCpl, limit, codeFlags, newCpl, target, upper);
}

/** Compatibility code has an ESP; what is above it does not count. */
function currentRsp(cpu: X86Cpu): number {
  return (cpu.ei32[ENV.HFLAGS >> 2] & HF_CS64) !== 0 ? cpu.regNumber(ESP) : cpu.e32[ESP << 1];
}

/** SS, RSP, RFLAGS, CS, RIP and the error code below `top`: straight to memory if they lie in one page of plain RAM. */
function pushFrame(
  cpu: X86Cpu,
  top: number,
  user: number,
  error: number,
  flags: number,
  ripLow: number,
  ripHigh: number,
): void {
  const e = cpu.ei32;
  const rspHigh = (e[ENV.HFLAGS >> 2] & HF_CS64) !== 0 ? e[(ESP << 1) + 1] : 0;
  const inPage = (top & 4095) === 0 || (top & 4095) >= 48;
  openStack64(cpu, top, user);
  // The first push is the one that a fault names.
  const p = inPage && cpu.linear.canonical(top - 8) ? plainWord(cpu, top - 8, 1, user) : -1;
  if (p < 0) {
    push64(cpu, e[SS_SELECTOR], 0);
    push64(cpu, e[ESP << 1], rspHigh);
    push64(cpu, flags, 0);
    push64(cpu, e[CS_SELECTOR], 0);
    push64(cpu, ripLow, ripHigh);
    if (error >= 0) push64(cpu, error, 0);
    return;
  }
  const m = cpu.i32;
  m[p] = e[SS_SELECTOR];
  m[p + 1] = 0;
  m[p - 2] = e[ESP << 1];
  m[p - 1] = rspHigh;
  m[p - 4] = flags;
  m[p - 3] = 0;
  m[p - 6] = e[CS_SELECTOR];
  m[p - 5] = 0;
  m[p - 8] = ripLow;
  m[p - 7] = ripHigh;
  if (error >= 0) {
    m[p - 10] = error;
    m[p - 9] = 0;
  }
}
