/** An `IrMachine` in flat 32-bit or real mode, with a few pages: what the translator's tests run code on. */
import { CS, DS, ENV, ES, FS, GS, SS } from '../src/index.ts';
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

/** Put code at CODE, HLT behind it, and run it. */
export function runCode(m: IrMachine, code: readonly number[], budget = 2000): MachineStop {
  code.forEach((v, k) => {
    m.u8[m.host(CODE + k)] = v;
  });
  m.u8[m.host(CODE + code.length)] = HLT;
  m.cpu.eip = CODE;
  return m.run(budget);
}
