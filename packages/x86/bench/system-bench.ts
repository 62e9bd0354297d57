/// <reference types="node" />
/**
 * Times the system paths that system calls and page faults take. Run: npx tsx --conditions=@emkit/source
 * packages/x86/bench/system-bench.ts. The host here is a flat RAM without TLB: what is measured is the CPU part.
 */
import { IDT, KCODE, UDATA, gate, protectedBench, toUser } from '../test/fake-host.ts';
import { ENV } from '../src/state.ts';
import { iret } from '../src/system/iret.ts';
import { loadSeg } from '../src/system/load-seg.ts';
import { softInterrupt } from '../src/system/soft-interrupt.ts';
import { sysenter, sysexit } from '../src/system/sysenter.ts';

const b = protectedBench();
const { cpu, host } = b;
const { ram } = host;
host.read8 = (l) => ram.getUint8(l);
host.read16 = (l) => ram.getUint16(l, true);
host.read32 = (l) => ram.getUint32(l, true);
host.write8 = (l, v) => ram.setUint8(l, v);
host.write16 = (l, v) => ram.setUint16(l, v, true);
host.write32 = (l, v) => ram.setUint32(l, v, true);
host.physRead32 = (l) => ram.getUint32(l, true);
host.physWrite32 = (l, v) => ram.setUint32(l, v, true);
b.descriptor(IDT + 0x80 * 8, gate(KCODE, 0x8000, 0xee));
b.descriptor(IDT + 14 * 8, gate(KCODE, 0x8000, 0x8e));
toUser(b);
cpu.setEnv32(ENV.MSR_SYSENTER_CS, 0x60);

function time(name: string, n: number, run: () => void): void {
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    for (let i = 0; i < n; i++) run();
    best = Math.min(best, (performance.now() - start) / n);
  }
  console.log(`${name.padEnd(32)} ${(best * 1e6).toFixed(0).padStart(6)} ns`);
}

const N = 30_000;
time('int 0x80 + iret', N, () => {
  softInterrupt(cpu, 0x80, 0x5002, 0);
  iret(cpu, 4, 0);
});
time('#PF delivered + iret', N, () => {
  cpu.setEnv32(ENV.EXCEPTION_VECTOR, 14);
  cpu.setEnv32(ENV.EXCEPTION_ERROR, 6);
  cpu.eip = 0x5000;
  cpu.deliver();
  cpu.setReg(4, cpu.reg(4) + 4);
  iret(cpu, 4, 0);
});
time('#PF thrown + delivered + iret', N, () => {
  try {
    cpu.pageFault(0x1234, 6);
  } catch {
    cpu.eip = 0x5000;
    cpu.deliver();
  }
  cpu.setReg(4, cpu.reg(4) + 4);
  iret(cpu, 4, 0);
});
time('mov to ds', N, () => void loadSeg(cpu, 3, UDATA));
time('sysenter + sysexit', N, () => {
  sysenter(cpu);
  sysexit(cpu);
});
b.w32(0x10000, 0x11027);
for (let i = 0; i < 256; i++) b.w32(0x11000 + 4 * i, (i << 12) | 0x67);
cpu.setCrRaw(3, 0x10000);
cpu.setCrRaw(0, 0x80010011);
let lin = 0;
time('walk', N, () => {
  lin = (lin + 0x1000) & 0xff000;
  cpu.walk(lin, 1, true);
});
