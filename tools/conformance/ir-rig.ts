/**
 * Rigs on the op-by-op IR evaluator of the x86 package's tests (`--tier ir`): no WebAssembly, integer code only. Slow,
 * but it separates a wrong translation from a wrong tier.
 */
import { CS, DS, ENV, ES, FS, GS, SS } from '@emkit/x86';
import { IrMachine } from '../../packages/x86/test/ir-machine.ts';
import { USER_PAGES } from './rig.ts';
import type { RealRig, UserRig, UserStop } from './rig.ts';

const BUDGET = 4000;
const ESP = 4;

export function irUserRig(): UserRig {
  const m = new IrMachine(16);
  for (const page of USER_PAGES) m.map(page);
  const { cpu } = m;
  return {
    cpu,
    reset() {
      cpu.reset();
      cpu.setSeg(CS, 0x1b, 0, 0xffffffff, 0x00cffb00);
      for (const n of [DS, ES, SS, FS, GS]) cpu.setSeg(n, 0x23, 0, 0xffffffff, 0x00cff300);
      cpu.setSegCache(ENV.TR, 0x28, 0, 0x10, 0x8b00); // too short for an I/O map: ports are #GP
      cpu.setCrRaw(0, 0x80010033);
      cpu.setCrRaw(4, 0x600);
      cpu.cpl = 3;
      cpu.updateHflags();
    },
    write(linear, bytes) {
      bytes.forEach((v, k) => {
        m.u8[m.host(linear + k)] = v;
      });
    },
    read(linear, length) {
      return Uint8Array.from({ length }, (_, k) => m.u8[m.host(linear + k)]);
    },
    run(): UserStop | null {
      const stop = m.run(BUDGET);
      if (stop.vector < 0) return null;
      return {
        vector: stop.vector,
        error: stop.error,
        eip: cpu.eip,
        eipHigh: 0,
        eflags: cpu.eflags(),
        esp: cpu.reg(ESP),
        espHigh: 0,
      };
    },
  };
}

export function irRealRig(): RealRig {
  const pages = 0x1010;
  const m = new IrMachine(pages);
  for (let n = 0; n < pages; n++) m.map(n * 4096);
  m.deliver = true;
  const { cpu } = m;
  return {
    cpu,
    reset(selectors) {
      cpu.reset();
      selectors.forEach((s, n) => cpu.setSeg(n, s, s * 16, 0xffff, n === CS ? 0x9b00 : 0x9300));
      cpu.setEnv32(ENV.IDT_BASE, 0);
      cpu.setEnv32(ENV.IDT_LIMIT, 0x3ff);
      cpu.updateHflags();
    },
    write(physical, byte) {
      m.u8[m.host(physical)] = byte;
    },
    read(physical) {
      return m.u8[m.host(physical)];
    },
    run() {
      return m.run(BUDGET).vector === -1;
    },
  };
}
