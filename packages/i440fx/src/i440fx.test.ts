import { MemoryRegion, RamBlock } from '@emkit/memory';
import { checkRoundTrip, createFakeBus, type FakeBus, fuzzDevice } from '@emkit/device-testbed';
import { saveState } from '@emkit/qdev';
import { PCI_PROPERTIES, type PciBus, PciDevice } from '@emkit/pci';
import { createDevice, defineDevice } from '@emkit/qdev';
import { describe, expect, it } from 'vitest';
import { I440FX_PCIHOST, type I440fxPciHost, PIIX3, type Piix3, PIRQRC, PORT92 } from './index.ts';

class Card extends PciDevice {
  constructor(init: ConstructorParameters<typeof PciDevice>[0]) {
    super(init);
    this.setId({ vendor: 1, device: 1, classCode: 0xff0000, interruptPin: 1 });
  }
  raise(level: number): void {
    this.setIntx(level);
  }
}
const CARD = defineDevice({
  name: 'card',
  description: '',
  bus: 'pci',
  properties: PCI_PROPERTIES,
  create: (init) => new Card(init),
});

interface Board {
  readonly bus: FakeBus;
  readonly host: I440fxPciHost;
  readonly pci: PciBus;
  readonly piix: Piix3;
  readonly irq: number[];
  readonly config: (devfn: number, register: number, value?: number) => number;
}

function createBoard(): Board {
  const bus = createFakeBus({ ramSize: 2 << 20 });
  const ram = bus.memoryRoot.children[0] as MemoryRegion;
  const host = bus.add(I440FX_PCIHOST, { ram, 'ram-size': 2 << 20 });
  const rom = new RamBlock({ name: 'bios', size: 0x20000, bytes: new Uint8Array(0x20000).fill(0xb1) });
  host.pciMemory.add(0xe0000, MemoryRegion.rom('bios', rom), 1);
  const pci = host.pciBus;
  const piix = bus.add(PIIX3, { addr: '1.0', multifunction: true }, pci);
  const irq = new Array<number>(16).fill(0);
  piix.isaOut.forEach((line, n) => line.connect((level) => (irq[n] = level)));
  return {
    bus,
    host,
    pci,
    piix,
    irq,
    config: (devfn, register, value) => {
      if (value !== undefined) pci.configWrite(devfn, register, value, 1);
      return pci.configRead(devfn, register, 1);
    },
  };
}

describe('i440FX', () => {
  it('identifies itself and its ISA bridge through ports 0xCF8/0xCFC', () => {
    const { bus } = createBoard();
    const read = (address: number): number => (bus.out32(0xcf8, address), bus.in32(0xcfc));
    expect(read(0x80000000)).toBe(0x12378086);
    expect(read(0x80000008)).toBe(0x06000002);
    expect(read(0x80000800)).toBe(0x70008086);
    expect(read(0x80000808)).toBe(0x06010000);
    expect(read(0x8000080c) & 0x800000).toBe(0x800000);
  });

  it('shows ROM after reset, and steers reads and writes of every PAM window apart', () => {
    const { bus, config } = createBoard();
    const m = bus.memory;
    const windows: [base: number, register: number, shift: number][] = [[0xf0000, 0x59, 4]];
    for (let i = 0; i < 12; i++) windows.push([0xc0000 + i * 0x4000, 0x5a + (i >> 1), (i & 1) * 4]);
    for (const [base, register, shift] of windows) {
      const below = base < 0xe0000 ? 0xff : 0xb1; // no option ROM on this board
      const last = base === 0xf0000 ? 0xffff : 0x3fff;
      for (const address of [base, base + last]) {
        config(0, register, 0);
        m.write8(address, 0x11);
        expect(m.read8(address)).toBe(below);
        config(0, register, 2 << shift); // write only: the shadow copy
        m.write8(address, 0x22);
        expect(m.read8(address)).toBe(below);
        config(0, register, 1 << shift);
        expect(m.read8(address)).toBe(0x22);
        m.write8(address, 0x33);
        expect(m.read8(address)).toBe(0x22);
        config(0, register, 3 << shift);
        m.write8(address, 0x44);
        expect(m.read8(address)).toBe(0x44);
        config(0, register, 0);
        expect(m.read8(address)).toBe(below);
      }
    }
    m.write32(0xe0002, 0);
    config(0, 0x5e, 0x02);
    expect(m.read32(0xe0001)).toBe(0xb1b1b1b1);
    m.write32(0xe0001, 0x12345678);
    config(0, 0x5e, 0x01);
    expect(m.read32(0xe0001)).toBe(0x12345678);
  });

  it('opens SMRAM under 0xA0000, until D_LCK closes it for good', () => {
    const { bus, host, config } = createBoard();
    bus.memory.write8(0xa0000, 0x55);
    expect(bus.memory.read8(0xa0000)).toBe(0xff);
    config(0, 0x72, 0x4a);
    bus.memory.write8(0xa0000, 0x55);
    expect(bus.memory.read8(0xa0000)).toBe(0x55);
    expect(config(0, 0x72, 0x1a)).toBe(0x1a);
    expect(bus.memory.read8(0xa0000)).toBe(0xff);
    expect(config(0, 0x72, 0x4a)).toBe(0x1a);
    host.reset();
    expect(config(0, 0x72)).toBe(0x02);
    expect(config(0, 0x72, 0x4a)).toBe(0x4a);
  });

  it('survives a round trip with its windows', () => {
    const board = createBoard();
    board.bus.memory.write8(0x1000, 1);
    board.config(0, 0x59, 0x30);
    board.config(0, 0x72, 0x1a);
    const boards: Board[] = [];
    const fresh = (): Board => {
      boards.push(createBoard());
      return boards.at(-1) as Board;
    };
    checkRoundTrip(board.host.bridge, () => fresh().host.bridge, { mutations: 60 });
    const loaded = boards[0] as Board;
    loaded.bus.memory.write8(0xf0000, 0x66);
    expect(loaded.bus.memory.read8(0xf0000)).toBe(0x66);
    expect(loaded.config(0, 0x72, 0x4a)).toBe(0x1a);
    board.bus.out32(0xcf8, 0x80000810);
    checkRoundTrip(board.host, () => createBoard().host, { mutations: 20 });
  });
});

describe('PIIX3', () => {
  it('steers PIRQs to ISA lines, shared, and not to those that cannot be shared', () => {
    const { bus, pci, piix, irq, config } = createBoard();
    const cards = ['3', '4', '7'].map((addr) => {
      const card = createDevice(CARD, { env: bus.env, id: `card${addr}`, properties: { addr } });
      card.realize(pci);
      return card;
    });
    expect(pci.mapIntx(8, 0)).toBe(0); // slot 1 pin A: PIRQA
    cards[0]?.raise(1); // slot 3: PIRQC
    expect(irq.some((level) => level === 1)).toBe(false);
    config(8, PIRQRC + 2, 11);
    expect(irq[11]).toBe(1);
    config(8, PIRQRC + 3, 11);
    cards[1]?.raise(1); // slot 4: PIRQD
    cards[0]?.raise(0);
    expect(irq[11]).toBe(1);
    cards[1]?.raise(0);
    expect(irq[11]).toBe(0);
    cards[2]?.raise(1); // slot 7: PIRQC too
    expect(irq[11]).toBe(1);
    config(8, PIRQRC + 2, 10);
    expect([irq[10], irq[11]]).toEqual([1, 0]);
    for (const bad of [0, 1, 2, 8, 13]) {
      config(8, PIRQRC + 2, bad);
      expect(piix.pirqTarget(2)).toBe(-1);
      expect(irq[bad]).toBe(0);
    }
    expect(config(8, PIRQRC + 2, 0xff)).toBe(0x8f);
  });

  it('ORs an ISA device and a PIRQ on one line', () => {
    const { bus, pci, piix, irq, config } = createBoard();
    const card = bus.add(CARD, { addr: '3' }, pci);
    config(8, PIRQRC + 2, 5);
    const isa5 = piix.isaBus.irq(5);
    isa5.raise();
    card.raise(1);
    isa5.lower();
    expect(irq[5]).toBe(1);
    card.raise(0);
    expect(irq[5]).toBe(0);
  });

  it('keeps ELCR, without the lines that are always edge-triggered', () => {
    const { bus, piix } = createBoard();
    const level = new Array<number>(16).fill(0);
    level.forEach((_, n) => piix.gpioOut('elcr', n).connect((value) => (level[n] = value)));
    bus.out16(0x4d0, 0xffff);
    expect(bus.in16(0x4d0)).toBe(0xdef8);
    expect(level).toEqual([0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1]);
    piix.reset();
    expect(level).toEqual(new Array(16).fill(0));
  });

  it('resets the machine by 0xCF9, which does not disturb CONFIG_ADDRESS', () => {
    const { bus } = createBoard();
    bus.out32(0xcf8, 0x80000000);
    bus.out8(0xcf9, 0x02);
    expect(bus.resets).toEqual([]);
    expect(bus.in8(0xcf9)).toBe(2);
    bus.out8(0xcf9, 0x06);
    expect(bus.resets).toEqual(['reset control register']);
    expect(bus.in32(0xcfc)).toBe(0x12378086);
  });

  it('survives a round trip', () => {
    const { bus, piix, config } = createBoard();
    config(8, PIRQRC, 11);
    bus.out16(0x4d0, 0x0c00);
    bus.out8(0xcf9, 2);
    checkRoundTrip(piix, () => createBoard().piix, { mutations: 60 });
    expect(saveState(piix).length).toBeGreaterThan(256);
  });
});

describe('port 92', () => {
  it('drives A20 and resets on the rising edge of bit 0', () => {
    const bus = createFakeBus();
    const port = bus.add(PORT92);
    const a20: number[] = [];
    port.gpioOut('a20').connect((level) => a20.push(level));
    bus.out8(0x92, 0xfe);
    expect(bus.in8(0x92)).toBe(2);
    bus.out8(0x92, 3);
    bus.out8(0x92, 3);
    bus.out8(0x92, 0);
    expect(a20).toEqual([1, 1, 1, 0]);
    expect(bus.resets).toEqual(['port 92']);
    bus.out8(0x92, 2);
    checkRoundTrip(port, () => createFakeBus().add(PORT92));
  });
});

it('holds its invariants under random configuration and port programs', () => {
  const { bus, host, piix, irq, pci } = createBoard();
  bus.add(PORT92, {}, piix.isaBus);
  const card = bus.add(CARD, { addr: '3' }, pci);
  for (let i = 0; i < 0x100; i++) bus.memory.write8(0x90000 + i, i);
  fuzzDevice({
    bus,
    seed: 3,
    operations: 10_000,
    ports: [0xcf8, 0xcf9, 0xcfc, 0xcfd, 0xcff, 0x4d0, 0x4d1, 0x92],
    mmio: [0xa0000, 0xbfffe, 0xc0000, 0xdffff, 0xe0000, 0xefffe, 0xffffc],
    maxAdvance: 0,
    extra: {
      select: (r) => bus.out32(0xcf8, 0x80000000 + r.below(2) * 2048 + r.pick([0x04, 0x58, 0x5c, 0x60, 0x70])),
      raise: (r) => card.raise(r.below(2)),
      reset: (r) => void (r.below(20) === 0 && bus.systemBus.reset()),
    },
    invariant: () => {
      if (host.bridge.vendorAndDevice !== 0x12378086 || piix.vendorAndDevice !== 0x70008086) return 'identity changed';
      const target = piix.pirqTarget(2);
      const high = irq.flatMap((level, n) => (level === 1 ? [n] : []));
      const expected = pci.intxLevel(2) === 1 && target >= 0 ? [target] : [];
      return high.join() === expected.join() ? null : `IRQs ${high.join()} are high, expected ${expected.join()}`;
    },
  });
  for (let i = 0; i < 0x100; i++) expect(bus.memory.read8(0x90000 + i)).toBe(i);
}, 30_000);
