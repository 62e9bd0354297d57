/**
 * Rigs on the CPU test bench: the real accelerator, in one tier. In the hot tier each test's code is compiled before
 * it runs, and what cannot stay hot (a fault, a helper) leaves to the cold tier as it does in a machine.
 */
import { CpuBench, LongBench } from '@emkit/cpu-testbed';
import { ENV } from '@emkit/x86';
import { USER_PAGES } from './rig.ts';
import type { RealRig, UserMode, UserRig } from './rig.ts';

/** Real mode: 1 MiB + 64 KiB is all that 16-bit segments reach. */
const REAL_RAM = 0x110000;
const CPU = 'max';

export function benchUserRig(tier: 'cold' | 'hot', mode: UserMode = '32'): UserRig {
  const long = mode === '32' ? undefined : new LongBench({ tier, cpu: CPU });
  const bench = long ?? new CpuBench({ tier, cpu: CPU });
  bench.protectedMode();
  const physical = new Map(USER_PAGES.map((page) => [page, bench.map(page)]));
  const at = (linear: number): number => {
    const page = physical.get((linear & ~0xfff) >>> 0);
    if (page === undefined) throw new Error(`vector touches ${linear.toString(16)}, which is not mapped`);
    return page + (linear & 0xfff);
  };
  return {
    cpu: bench.cpu,
    reset() {
      bench.tcg.clearShutdown();
      if (long === undefined) bench.enterUser();
      else long.enterUser(mode === '64' ? 64 : 32);
    },
    write(linear, bytes) {
      // pieces within a page: neighbours in linear space need not be neighbours in RAM
      for (let k = 0; k < bytes.length;) {
        const n = Math.min(bytes.length - k, 0x1000 - ((linear + k) & 0xfff));
        bench.poke(at(linear + k), bytes.subarray(k, k + n));
        k += n;
      }
    },
    read(linear, length) {
      return bench.ram.slice(at(linear), at(linear) + length);
    },
    run() {
      if (tier === 'hot') bench.compile();
      return bench.runToStop();
    },
  };
}

export function benchRealRig(tier: 'cold' | 'hot'): RealRig {
  const bench = new CpuBench({ tier, cpu: CPU, ramBytes: 2 << 20 });
  const { cpu } = bench;
  return {
    cpu,
    reset([es, cs, ss, ds, fs, gs]) {
      bench.tcg.clearShutdown();
      bench.realMode({ cs, ds, es, ss, fs, gs });
      cpu.setEnv32(ENV.IDT_BASE, 0);
      cpu.setEnv32(ENV.IDT_LIMIT, 0x3ff);
      cpu.updateHflags();
    },
    write(address, byte) {
      if (address < REAL_RAM) bench.poke(address, [byte]);
    },
    read(address) {
      return address < REAL_RAM ? bench.ram[address] : 0xff;
    },
    run() {
      if (tier === 'hot') bench.compile();
      bench.run(2000);
      return cpu.halted;
    },
  };
}
