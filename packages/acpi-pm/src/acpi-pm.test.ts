import { MemoryRegion } from '@emkit/memory';
import { checkRoundTrip, createFakeBus, type FakeBus, fuzzDevice } from '@emkit/device-testbed';
import { PciBus } from '@emkit/pci';
import { describe, expect, it } from 'vitest';
import { ACPI_DISABLE, ACPI_ENABLE, ACPI_PM, type AcpiPm, APMC_PORT, GPE_COUNT, PM_TIMER_HZ } from './index.ts';
import { nextOverflow, pmTicks, pmTicksToNs } from './pm-timer.ts';

interface Board {
  readonly bus: FakeBus;
  readonly pci: PciBus;
  readonly pm: AcpiPm;
  readonly sci: { level: number; rises: number };
}

function createBoard(properties: Record<string, unknown> = {}): Board {
  const bus = createFakeBus();
  const memory = MemoryRegion.container('pci');
  const pci = new PciBus('pci.0', { memory, io: bus.ioRoot, dma: bus.memory });
  const pm = bus.add(ACPI_PM, { addr: '1.3', ...properties }, pci);
  const sci = { level: 0, rises: 0 };
  pm.gpioOut('sci').connect((level) => {
    if (level > sci.level) sci.rises++;
    sci.level = level;
  });
  return { bus, pci, pm, sci };
}

const DEVFN = 11;
const PERIOD_NS = (2 ** 23 / PM_TIMER_HZ) * 1e9;

describe('ACPI power management', () => {
  it('powers off by the well-known write to port 0x604', () => {
    const { bus } = createBoard();
    bus.out16(0x604, 0x2000);
    expect(bus.shutdowns).toEqual([{ cause: 'acpi soft off', exitCode: undefined }]);
  });

  it('powers off by a byte write of SLP_EN too, and on S4', () => {
    const { bus } = createBoard();
    bus.out8(0x605, 0x20);
    bus.out16(0x604, 0x2000 | (2 << 10));
    expect(bus.shutdowns.map((s) => s.cause)).toEqual(['acpi soft off', 'acpi suspend to disk']);
    expect(bus.in16(0x604)).toBe(2 << 10); // SLP_EN reads as 0
  });

  it.each([1, 3, 4, 5, 6, 7])('refuses sleep type %d: the guest has already woken up', (type) => {
    const { bus } = createBoard();
    bus.out16(0x604, 0x2000 | (type << 10));
    expect(bus.shutdowns).toEqual([]);
    expect(bus.in16(0x600)).toBe(0x8000);
    bus.out16(0x600, 0x8000);
    expect(bus.in16(0x600)).toBe(0);
  });

  it('counts at 3.579545 MHz in 24 bits', () => {
    const { bus } = createBoard();
    bus.advance(1e9);
    expect(bus.in32(0x608)).toBe(3579545);
    bus.advance(1);
    bus.advance(9e9);
    expect(bus.in32(0x608)).toBe(35795450 % 2 ** 24);
    expect(bus.in16(0x60a)).toBe((35795450 % 2 ** 24) >> 16);
    bus.advance(90 * 86400e9); // 90 days: still exact
    expect(bus.in32(0x608)).toBe((35795450 + 90 * 86400 * 3579545) % 2 ** 24);
  });

  it('raises SCI on the timer overflow, once per half period, when enabled', () => {
    const { bus, sci } = createBoard();
    bus.advance(PERIOD_NS + 1000);
    expect(bus.in16(0x600)).toBe(1); // the status bit needs no enable
    bus.out16(0x600, 1);
    bus.out16(0x602, 1);
    bus.out8(APMC_PORT, ACPI_ENABLE);
    expect(sci.level).toBe(0);
    bus.advance(PERIOD_NS - 3000);
    expect(sci.level).toBe(0);
    bus.advance(3000);
    expect(sci.level).toBe(1);
    bus.out16(0x600, 1);
    expect(sci.level).toBe(0);
    bus.advance(PERIOD_NS * 1.5);
    expect(sci.rises).toBe(2);
  });

  it('reports the power button, gated by enable and SCI_EN', () => {
    const { bus, pm, sci } = createBoard();
    pm.powerButton();
    expect([bus.in16(0x600), sci.level]).toEqual([0x100, 0]);
    bus.out16(0x602, 0xffff);
    expect(bus.in16(0x602)).toBe(0x521);
    expect(sci.level).toBe(0);
    bus.out8(APMC_PORT, ACPI_ENABLE);
    expect(bus.in16(0x604)).toBe(1);
    expect(sci.level).toBe(1);
    bus.out8(0x601, 0x01);
    expect(sci.level).toBe(0);
    pm.powerButton();
    bus.out8(APMC_PORT, ACPI_DISABLE);
    expect(sci.level).toBe(0);
    expect(bus.in8(APMC_PORT)).toBe(ACPI_DISABLE);
    bus.out8(APMC_PORT + 1, 0x5a);
    expect(bus.in8(APMC_PORT + 1)).toBe(0x5a);
  });

  it('has a general purpose event block', () => {
    const { bus, pm, sci } = createBoard();
    bus.out8(APMC_PORT, ACPI_ENABLE);
    bus.out16(0xafe2, 0x8002);
    pm.raiseGpe(1);
    pm.raiseGpe(15);
    expect([bus.in16(0xafe0), sci.level]).toEqual([0x8002, 1]);
    bus.out16(0xafe0, 0x0002);
    expect(sci.level).toBe(1);
    bus.out8(0xafe1, 0x80);
    expect(sci.level).toBe(0);
    expect(() => pm.raiseGpe(GPE_COUNT)).toThrow(RangeError);
  });

  it('moves its block as firmware programs it', () => {
    const { bus, pci, pm } = createBoard({ 'io-base': 0 });
    expect(bus.in16(0x604)).toBe(0xffff);
    expect(pci.configRead(DEVFN, 0x40, 4)).toBe(1);
    pci.configWrite(DEVFN, 0x40, 0xffffe03f, 4);
    expect(pci.configRead(DEVFN, 0x40, 4)).toBe(0xe001);
    expect(bus.in16(0xe004)).toBe(0xffff);
    pci.configWrite(DEVFN, 0x80, 0xff, 1);
    expect(bus.in16(0xe004)).toBe(0);
    bus.out16(0xe004, 0x2000);
    expect(bus.shutdowns.length).toBe(1);
    pm.reset();
    expect(bus.in16(0xe004)).toBe(0xffff);
    expect(createBoard().pm.ioBase).toBe(0x600);
  });

  it('claims that SMM is set up, and pulses SMI only while APMC_EN is set', () => {
    const { bus, pci, pm } = createBoard();
    let smi = 0;
    pm.gpioOut('smi').connect((level) => (smi += level));
    expect(pci.configRead(DEVFN, 0x5b, 1)).toBe(2);
    bus.out8(APMC_PORT, 0);
    pci.configWrite(DEVFN, 0x5b, 0, 1);
    bus.out8(APMC_PORT, 0);
    expect(smi).toBe(1);
  });

  it('survives a round trip', () => {
    const { bus, pm } = createBoard();
    bus.out16(0x602, 0x0101);
    bus.out8(APMC_PORT, ACPI_ENABLE);
    bus.advance(5e9);
    pm.raiseGpe(3);
    const boards: Board[] = [];
    checkRoundTrip(
      pm,
      () => {
        boards.push(createBoard());
        return (boards.at(-1) as Board).pm;
      },
      { mutations: 100 },
    );
    expect((boards[0] as Board).sci.level).toBe(1);
  });

  it('computes ticks and times that agree', () => {
    for (const ticks of [0, 1, 3579544, 3579545, 2 ** 23, 2 ** 40 + 12345]) {
      expect(pmTicks(pmTicksToNs(ticks))).toBe(ticks);
      if (ticks > 0) expect(pmTicks(pmTicksToNs(ticks) - 1)).toBeLessThan(ticks);
      expect(nextOverflow(ticks)).toBeGreaterThan(ticks);
      expect(nextOverflow(ticks) % 2 ** 23).toBe(0);
    }
  });

  it('holds its invariants under random operations', () => {
    const { bus, pm, sci, pci } = createBoard();
    fuzzDevice({
      bus,
      seed: 11,
      operations: 20_000,
      ports: [
        0x5ff, 0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x608, 0x60a, 0x63f, 0xafdf, 0xafe0, 0xafe2, 0xafe3, 0xb2,
        0xb3,
      ],
      maxAdvance: 3e9,
      extra: {
        button: () => pm.powerButton(),
        gpe: (r) => pm.raiseGpe(r.below(16)),
        move: (r) => void (r.below(10) === 0 && pci.configWrite(DEVFN, r.pick([0x40, 0x41, 0x80]), r.nasty(8), 1)),
        back: () => pci.configWrite(DEVFN, 0x40, 0x601, 2),
      },
      invariant: () => {
        const s = pm.state;
        const pending = (s.pm1Status & s.pm1Enable) !== 0 || (s.gpeStatus & s.gpeEnable) !== 0;
        if (sci.level !== (pending && (s.pm1Control & 1) !== 0 ? 1 : 0)) return 'SCI differs from its events';
        return bus.clock.pending > 1 ? 'timers pile up' : null;
      },
    });
  });
});
