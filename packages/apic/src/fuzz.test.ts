/** Random registers, lines, messages and acknowledges on both APICs; the request line against a second reading of the rules. */
import { createFakeBus, fuzzDevice } from '@emkit/device-testbed';
import { expect, it } from 'vitest';
import { IO_APIC, IO_APIC_PINS, LOCAL_APIC } from './index.ts';

const LOCAL = 0xfee00000;
const IO = 0xfec00000;

function top(words: Uint32Array): number {
  for (let vector = 255; vector >= 0; vector--)
    if (((words[Math.floor(vector / 32)] as number) / 2 ** (vector % 32)) % 2 >= 1) return vector;
  return -1;
}

it.each([1, 2, 3])('holds its invariants (seed %d)', (seed) => {
  const bus = createFakeBus();
  const local = bus.add(LOCAL_APIC);
  const io = bus.add(IO_APIC);
  io.connect(local);
  local.onExtInt = () => 0x08;
  const s = local.state;
  let taken = 0;
  fuzzDevice({
    bus,
    seed,
    operations: 20_000,
    maxAdvance: 200_000,
    mmio: [
      ...Array.from({ length: 64 }, (_, i) => LOCAL + 16 * i),
      LOCAL + 0xf0,
      LOCAL + 0xb0,
      LOCAL + 0xb0,
      LOCAL + 3,
      LOCAL + 0xffc,
      IO,
      IO,
      IO + 0x10,
      IO + 0x10,
      IO + 0x40,
    ],
    extra: {
      enable: () => void bus.memory.write32(LOCAL + 0xf0, 0x1ff),
      calm: () => void bus.memory.write32(LOCAL + 0x80, 0),
      entry: (random) => {
        bus.memory.write32(IO, 0x10 + random.below(48));
        bus.memory.write32(IO + 0x10, random.pick([0x8050, 0x61, 0x18072, 0xa031, 0xff000000, 0, random.u32()]));
      },
      pin: (random) => io.gpioIn('', random.below(IO_APIC_PINS)).set(random.below(2)),
      lint: (random) => local.gpioIn(random.pick(['lint0', 'lint1'])).set(random.below(2)),
      deliver: (random) => void local.deliver(random.below(8), random.nasty(8), random.below(2) === 0),
      base: (random) => local.setBase(random.pick([0xfee00900, 0xfee00900, 0xfee00900, 0xfee00100, 0xfe000900])),
      acknowledge: () => {
        const wanted = local.isRequesting;
        const vector = local.acknowledge();
        if (!Number.isInteger(vector) || vector < 0 || vector > 255) throw new Error(`vector ${vector}`);
        if (wanted) taken++;
      },
    },
    invariant: () => {
      const isOn = (s.base & 0x800) !== 0;
      const lint0 = (s.lint & 1) !== 0;
      const lint = (n: number): boolean => (s.lint & (1 << n)) !== 0 && ((s.lvt[3 + n] as number) & 0x10700) === 0x700;
      const serving = Math.max(top(s.isr), 0) >> 4;
      const isVector = (s.svr & 0x100) !== 0 && top(s.irr) >= 0 && top(s.irr) >> 4 > Math.max(serving, s.tpr >> 4);
      const expected = isOn ? s.extInt || lint(0) || lint(1) || isVector : lint0;
      if (local.isRequesting !== expected) return `request line ${local.isRequesting}, expected ${expected}`;
      if (((s.irr[0] as number) | (s.isr[0] as number)) & 0xffff) return 'an illegal vector got in';
      if ((s.svr & 0x100) === 0 && s.lvt.some((entry, i) => i !== 3 && (entry & 0x10000) === 0))
        return 'software-disabled, but an entry is not masked';
      const t = s.timer.deadline.deadline;
      if (t >= 0 && t <= bus.clock.now()) return 'the timer is armed in the past';
      for (let pin = 0; pin < IO_APIC_PINS; pin++) {
        const entry = io.state.low[pin] as number;
        if ((entry & 0xc000) === 0x4000) return 'remote IRR at an edge-triggered input';
      }
      return null;
    },
  });
  expect(taken).toBeGreaterThan(200);
});
