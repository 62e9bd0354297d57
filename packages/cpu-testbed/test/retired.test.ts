/** `Tcg.retired` against a count made by hand: interrupts in the middle of blocks, faults, repeats, slices of any size, in each tier. */
import { EXIT } from '@emkit/accel-tcg';
import { CpuBench } from '@emkit/cpu-testbed';
import { ENV } from '@emkit/x86';
import { describe, expect, it } from 'vitest';

const ROUNDS = 500;
/** Every so many writes to port 80h the interrupt line goes up; the handler takes it down at port 81h. */
const EVERY = 7;
const HANDLER_FF = 0x2000;
const HANDLER_DE = 0x2100;

const CODE = [
  ...[0xfb], // sti
  ...[0xbe, ROUNDS & 0xff, ROUNDS >> 8], // mov si, ROUNDS
  // loop: 10 instructions, one of them repeated, one that faults
  ...[0xe6, 0x80], // out 80h, al
  ...[0xb9, 5, 0], // mov cx, 5
  ...[0xbf, 0, 0x40], // mov di, 4000h
  ...[0xf3, 0xaa], // rep stosb
  ...[0x31, 0xc9], // xor cx, cx
  ...[0xf7, 0xf1], // div cx: #DE, the handler steps over it
  ...[0x43], // inc bx
  ...[0xa1, 0, 0x40], // mov ax, [4000h]
  ...[0x4e], // dec si
  ...[0x75, 0xeb], // jnz loop
  ...[0xf4], // hlt
];
/** out 81h, al; iret */
const ON_INTERRUPT = [0xe6, 0x81, 0xcf];
const ON_DIVIDE_COUNT = 5;
/** push bp; mov bp, sp; add word [bp+2], 2; pop bp; iret */
const ON_DIVIDE = [0x55, 0x89, 0xe5, 0x83, 0x46, 0x02, 0x02, 0x5d, 0xcf];

function run(tier: 'cold' | 'hot' | 'auto', slice: (n: number) => number): { retired: number; interrupts: number } {
  let writes = 0;
  const bench = new CpuBench({
    ramBytes: 1 << 20,
    tier,
    portOut: (port) => {
      if (port === 0x81) bench.tcg.setInterruptLine(false);
      else if (++writes % EVERY === 0) bench.tcg.setInterruptLine(true);
    },
  });
  bench.poke(0x1000, CODE);
  bench.poke(HANDLER_FF, ON_INTERRUPT);
  bench.poke(HANDLER_DE, ON_DIVIDE);
  bench.poke32(0xff * 4, HANDLER_FF);
  bench.poke32(0, HANDLER_DE);
  bench.realMode({ cs: 0, ds: 0, es: 0, ss: 0, fs: 0, gs: 0 });
  bench.cpu.setEnv32(ENV.IDT_LIMIT, 0x3ff);
  bench.cpu.setReg(4, 0x8000);
  bench.cpu.eip = 0x1000;
  bench.cpu.updateHflags();
  for (let n = 0; n < 1e6; n++) if (bench.tcg.run(slice(n)) === EXIT.HALTED) break;
  expect(bench.cpu.reg(3)).toBe(ROUNDS);
  return { retired: bench.tcg.retired, interrupts: bench.tcg.interrupts };
}

describe('retired instructions', () => {
  for (const tier of ['cold', 'hot', 'auto'] as const) {
    it.each([
      ['one long slice', () => 1e6],
      ['slices of 13', () => 13],
      ['slices of 1 to 40', (n: number) => 1 + ((n * 7) % 40)],
    ])(`${tier} tier, %s: as counted by hand`, (_name, slice) => {
      const { retired, interrupts } = run(tier, slice);
      expect(interrupts).toBe(Math.floor(ROUNDS / EVERY));
      // DIV counts once: it faults, and is not repeated
      expect(retired).toBe(2 + ROUNDS * (10 + ON_DIVIDE_COUNT) + interrupts * 2 + 1);
    });
  }
});
