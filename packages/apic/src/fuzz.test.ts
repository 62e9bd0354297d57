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
  const local = bus.add(LOCAL_APIC, { id: 0x21, 'tsc-deadline': true });
  const io = bus.add(IO_APIC);
  io.connect(local);
  local.onExtInt = () => 0x08;
  const s = local.state;
  const out = new Uint32Array(2);
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
      base: (random) =>
        void local.setBase(random.pick([0xfee00900, 0xfee00900, 0xfee00900, 0xfee00d00, 0xfee00100, 0xfe000900])),
      readMsr: (random) => {
        const isRead = local.readMsr(0x7fe + random.below(0x104), out);
        if (isRead && (s.base & 0x400) === 0) throw new Error('an MSR outside x2APIC mode');
      },
      writeMsr: (random) => {
        const msr = random.pick([0x80b, 0x80f, 0x830, 0x832, 0x83f, 0x7fe + random.below(0x104)]);
        const value = random.pick([0, 0x1ff, random.nasty(8), random.nasty(18), random.u32()]);
        const isWritten = local.writeMsr(msr, value, random.pick([0, 0, 0x21, random.u32()]));
        if (isWritten && (s.base & 0x400) === 0) throw new Error('an MSR outside x2APIC mode');
      },
      deadline: (random) => local.setDeadline(random.pick([-1, 0, bus.clock.now() + random.below(400_000)])),
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
      if (((s.lvt[0] as number) & 0x40000) !== 0 && (s.timer.initial !== 0 || s.timer.isPeriodic))
        return 'TSC-deadline mode, but something counts';
      if (local.isDeadlineArmed !== (((s.lvt[0] as number) & 0x40000) !== 0 && t >= 0)) return 'armed, or not?';
      if ((s.base & 0xc00) === 0x400) return 'x2APIC mode of an APIC that is turned off';
      const isMapped = bus.memory.read32(((s.base & 0xfffff000) >>> 0) + 0x30) === 0x00050014;
      if (isMapped !== ((s.base & 0xc00) === 0x800)) return 'registers in memory, or not?';
      for (let pin = 0; pin < IO_APIC_PINS; pin++) {
        const entry = io.state.low[pin] as number;
        if ((entry & 0xc000) === 0x4000) return 'remote IRR at an edge-triggered input';
      }
      return null;
    },
  });
  expect(taken).toBeGreaterThan(200);
});
