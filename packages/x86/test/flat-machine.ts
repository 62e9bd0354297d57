/** An `IrMachine` in flat 32-bit or real mode, with a few pages: what the translator's tests run code on. */
import { CS, DS, ENV, ES, FS, GS, SS } from '../src/index.ts';
import type { CpuFeatures } from '../src/index.ts';
import { IrMachine } from './ir-machine.ts';
import type { MachineStop } from './ir-machine.ts';

export const CODE = 0x1000;
export const DATA = 0x4000;
export const STACK_TOP = 0x8000;
const PAGES = 16;
const HLT = 0xf4;

export const hexBytes = (code: string): number[] =>
  code
    .split(/\s+/)
    .filter((x) => x !== '')
    .map((x) => parseInt(x, 16));

/** Flat protected mode at the given CPL, pages 0-F000 mapped, faults end the run. */
export function flatMachine(cpl = 0): IrMachine {
  const m = new IrMachine(PAGES + 4);
  for (let n = 0; n < PAGES; n++) m.map(n * 4096);
  const { cpu } = m;
  cpu.setSeg(CS, 8 | cpl, 0, 0xffffffff, 0x00cf9b00 | (cpl << 13));
  for (const n of [DS, ES, SS, FS, GS]) cpu.setSeg(n, 16 | cpl, 0, 0xffffffff, 0x00cf9300 | (cpl << 13));
  cpu.setCrRaw(0, 0x11);
  cpu.cpl = cpl;
  cpu.updateHflags();
  cpu.setReg(4, STACK_TOP);
  return m;
}

/** Real mode, all segments at 0, IVT at 0. */
export function realMachine(): IrMachine {
  const m = new IrMachine(PAGES + 4);
  for (let n = 0; n <= PAGES; n++) m.map(n * 4096);
  const { cpu } = m;
  for (const n of [ES, CS, SS, DS, FS, GS]) cpu.setSeg(n, 0, 0, 0xffff, n === CS ? 0x9b00 : 0x9300);
  cpu.setEnv32(ENV.IDT_BASE, 0);
  cpu.setEnv32(ENV.IDT_LIMIT, 0x3ff);
  cpu.updateHflags();
  cpu.setReg(4, STACK_TOP);
  m.deliver = true;
  return m;
}

/** Half of the address space where `longMachine` maps its pages once more: FFFFFFFF_80000000. */
export const HIGH = -(2 ** 31);

/** 64-bit code at the given CPL; pages 0-F000 mapped, and again from HIGH on; faults end the run. */
export function longMachine(cpl = 0, features?: CpuFeatures): IrMachine {
  const m = new IrMachine(2 * PAGES + 8, features);
  for (let n = 0; n < PAGES; n++) {
    m.map(n * 4096);
    m.map(HIGH + n * 4096);
  }
  const { cpu } = m;
  cpu.setCrRaw(0, 0x80000011);
  cpu.setCrRaw(4, 0x20);
  cpu.setEnv32(ENV.MSR_EFER, 0x501);
  longCode(m, true, cpl);
  cpu.setReg(4, STACK_TOP);
  return m;
}
/** 64-bit code, or 32-bit code in compatibility mode. */
export function longCode(m: IrMachine, is64: boolean, cpl = 0): void {
  const { cpu } = m;
  cpu.cpl = cpl;
  cpu.setSeg(CS, 8 | cpl, 0, 0xffffffff, (is64 ? 0x00af9b00 : 0x00cf9b00) | (cpl << 13));
  for (const n of [DS, ES, SS, FS, GS]) cpu.setSeg(n, 16 | cpl, 0, 0xffffffff, 0x00cf9300 | (cpl << 13));
  cpu.updateHflags();
}
/** Put code at a linear address, HLT behind it, and run it. */
export function runCodeAt(m: IrMachine, at: number, code: readonly number[], budget = 2000): MachineStop {
  [...code, HLT].forEach((v, k) => {
    m.u8[m.host(at + k)] = v;
  });
  m.cpu.rip = at;
  return m.run(budget);
}

/** Put code at CODE, HLT behind it, and run it. */
export function runCode(m: IrMachine, code: readonly number[], budget = 2000): MachineStop {
  code.forEach((v, k) => {
    m.u8[m.host(CODE + k)] = v;
  });
  m.u8[m.host(CODE + code.length)] = HLT;
  m.cpu.eip = CODE;
  return m.run(budget);
}
