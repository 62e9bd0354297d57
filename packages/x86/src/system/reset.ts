/** Power-on values of env. SDM Vol. 3A Table 9-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
import type { X86Cpu } from '../cpu.ts';
import { CS, DS, ENV, ES, FS, GS, SS } from '../state.ts';
import { XCR0_X87 } from './cr-bits.ts';
import { DESC_A, DESC_P, DESC_RW, DESC_S, SYS_LDT, SYS_TSS32_BUSY } from './descriptor-bits.ts';
import { resetMsrs } from './msr.ts';

/** 0x20 empty-cache and reserved bits: CD, NW, ET. */
const CR0_RESET = 0x6000_0010;
const DR6_RESET = 0xffff_0ff0;
const DR7_RESET = 0x400;

export function resetState(cpu: X86Cpu): void {
  const e = cpu.e32;
  const tscOffset = e[ENV.MSR_TSC_OFFSET >> 2];
  e.fill(0);
  e[ENV.MSR_TSC_OFFSET >> 2] = tscOffset;
  e[ENV.EFLAGS >> 2] = 2;
  e[ENV.EIP >> 2] = 0xfff0;
  const data = DESC_P | DESC_S | DESC_RW | DESC_A;
  for (const seg of [ES, SS, DS, FS, GS]) cpu.setSeg(seg, 0, 0, 0xffff, data);
  cpu.setSeg(CS, 0xf000, 0xffff0000, 0xffff, data);
  cpu.setSegCache(ENV.LDTR, 0, 0, 0xffff, DESC_P | (SYS_LDT << 8));
  cpu.setSegCache(ENV.TR, 0, 0, 0xffff, DESC_P | (SYS_TSS32_BUSY << 8));
  e[ENV.GDT_LIMIT >> 2] = 0xffff;
  e[ENV.IDT_LIMIT >> 2] = 0xffff;
  cpu.setCrRaw(0, CR0_RESET);
  cpu.setDrRaw(6, DR6_RESET);
  cpu.setDrRaw(7, DR7_RESET);
  e[ENV.A20_MASK >> 2] = 0xffffffff;
  cpu.ei32[ENV.EXCEPTION_VECTOR >> 2] = -1;
  cpu.ei32[ENV.EXCEPTION_ERROR >> 2] = -1;
  e[ENV.SMBASE >> 2] = 0x30000;
  // x87: FCW 0040H, FTW 5555H (every register zero, none empty); SSE: MXCSR 1F80H.
  e[ENV.FPUC >> 2] = 0x40;
  e[ENV.MXCSR >> 2] = 0x1f80;
  e[ENV.XCR0 >> 2] = XCR0_X87;
  resetMsrs(cpu);
}
