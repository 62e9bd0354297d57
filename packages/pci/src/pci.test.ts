import { AddressSpace, MemoryRegion } from '@emkit/memory';
import { checkRoundTrip, createFakeBus, type FakeBus, fuzzDevice } from '@emkit/device-testbed';
import { defineDevice, type DeviceInit, saveState } from '@emkit/qdev';
import { describe, expect, it } from 'vitest';
import { ConfigMechanism, formatInfoPci, PCI_PROPERTIES, PciBus, PciDevice, PciReg } from './index.ts';

/** A function with one BAR of each kind, a ROM and MSI. */
class TestFunction extends PciDevice {
  readonly registers = new Uint8Array(0x1000);
  constructor(init: DeviceInit<typeof PCI_PROPERTIES>) {
    super(init);
    this.setId({
      vendor: 0x1234,
      device: 0x5678,
      classCode: 0x020000,
      revision: 3,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
      interruptPin: 1,
    });
    const io = (name: string, size: number): MemoryRegion =>
      MemoryRegion.io(name, size, {
        read: (o) => this.registers[o] as number,
        write: (o, v) => void (this.registers[o] = v),
        impl: { max: 1 },
      });
    this.registerBar(0, 'io', io('io bar', 0x20));
    this.registerBar(1, 'mem32', io('mem bar', 0x1000));
    this.registerBar(2, 'mem64', io('wide bar', 0x1000), true);
    this.registerRom(io('rom', 0x800));
    this.addMsi(4);
  }
  raise(level: number): void {
    this.setIntx(level);
  }
  message(vector: number): void {
    this.notifyMsi(vector);
  }
}
const TEST_FUNCTION = defineDevice({
  name: 'test-function',
  description: 'test',
  bus: 'pci',
  properties: PCI_PROPERTIES,
  create: (init) => new TestFunction(init),
});

interface Board {
  readonly bus: FakeBus;
  readonly pci: PciBus;
  readonly lines: number[];
  readonly messages: string[];
  readonly add: (properties?: Record<string, unknown>) => TestFunction;
  readonly select: (devfn: number, register: number) => void;
}

function createBoard(): Board {
  const bus = createFakeBus();
  const memory = MemoryRegion.container('pci');
  bus.memoryRoot.add(0, memory, -1);
  const pci = new PciBus('pci.0', { memory, io: bus.ioRoot, dma: bus.memory });
  new ConfigMechanism(pci).map(bus.ioRoot);
  const lines = [0, 0, 0, 0];
  pci.connectIntx((line, level) => (lines[line] = level));
  const messages: string[] = [];
  pci.connectMsi((address, data) => messages.push(`${address.toString(16)}=${data.toString(16)}`));
  return {
    bus,
    pci,
    lines,
    messages,
    add: (properties = {}) => bus.add(TEST_FUNCTION, properties, pci),
    select: (devfn, register) => bus.out32(0xcf8, 0x80000000 + devfn * 256 + (register & 0xfc)),
  };
}

describe('configuration mechanism #1', () => {
  it('reads and writes bytes, words and dwords of the selected function', () => {
    const { bus, add, select } = createBoard();
    add({ addr: '3' });
    select(3 * 8, 0);
    expect(bus.in32(0xcfc)).toBe(0x56781234);
    expect(bus.in16(0xcfe)).toBe(0x5678);
    expect(bus.in8(0xcfd)).toBe(0x12);
    expect(bus.in16(0xcfd)).toBe(0x7812);
    select(3 * 8, PciReg.COMMAND);
    bus.out8(0xcfc, 0xff);
    expect(bus.in16(0xcfc)).toBe(0x0007);
    bus.out16(0xcfc, 0xffff);
    expect(bus.in16(0xcfc)).toBe(0x0507);
    bus.out32(0xcfc, 0);
    expect(bus.in16(0xcfc)).toBe(0);
  });

  it('answers all ones for absent functions, other buses and a cleared enable bit', () => {
    const { bus, add, select } = createBoard();
    add({ addr: '3' });
    select(4 * 8, 0);
    expect(bus.in32(0xcfc)).toBe(0xffffffff);
    bus.out32(0xcf8, 0x80010000 + 3 * 2048);
    expect(bus.in32(0xcfc)).toBe(0xffffffff);
    bus.out32(0xcf8, 3 * 2048);
    expect(bus.in32(0xcfc)).toBe(0xffffffff);
    expect(bus.in32(0xcf8)).toBe(3 * 2048);
  });

  it('takes only dwords at 0xCF8', () => {
    const { bus, add, select } = createBoard();
    add({ addr: '3' });
    select(24, 0);
    bus.out8(0xcf8, 8);
    bus.out16(0xcfa, 0);
    expect(bus.in32(0xcf8)).toBe(0x80001800);
    expect(bus.in8(0xcf9)).toBe(0xff);
  });
});

describe('PciDevice', () => {
  it('keeps read-only bits, clears status bits by writing 1, and sizes BARs', () => {
    const { add, pci } = createBoard();
    const f = add();
    pci.configWrite(0, 0, 0xffffffff, 4);
    expect(f.vendorAndDevice).toBe(0x56781234);
    expect(f.le16(PciReg.STATUS)).toBe(0x0010);
    for (let bar = 0; bar < 6; bar++) pci.configWrite(0, 0x10 + bar * 4, 0xffffffff, 4);
    pci.configWrite(0, 0x30, 0xffffffff, 4);
    expect([0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((r) => pci.configRead(0, r, 4).toString(16))).toEqual([
      'ffffffe1',
      'fffff000',
      'fffff00c',
      'ffffffff',
      '0',
      '0',
      'fffff801',
    ]);
  });

  it('maps BARs while their command bit is set, and follows them', () => {
    const { bus, add, pci } = createBoard();
    const f = add();
    pci.configWrite(0, 0x10, 0xc000, 4);
    pci.configWrite(0, 0x14, 0xfeb00000, 4);
    pci.configWrite(0, 0x18, 0x00000000, 4);
    pci.configWrite(0, 0x1c, 0x00000010, 4);
    pci.configWrite(0, 0x30, 0xfec00001, 4);
    f.registers[4] = 0x5a;
    expect(bus.in8(0xc004)).toBe(0xff);
    pci.configWrite(0, PciReg.COMMAND, 3, 2);
    expect(bus.in8(0xc004)).toBe(0x5a);
    expect(bus.memory.read8(0xfeb00004)).toBe(0x5a);
    expect(bus.memory.read8(0x1000000004)).toBe(0x5a);
    expect(bus.memory.read8(0xfec00004)).toBe(0x5a);
    pci.configWrite(0, 0x11, 0xd0, 1); // high byte only, as careless firmware does
    expect(bus.in8(0xd004)).toBe(0x5a);
    expect(bus.in8(0xc004)).toBe(0xff);
    pci.configWrite(0, PciReg.COMMAND, 0, 2);
    expect(bus.in8(0xd004)).toBe(0xff);
    pci.configWrite(0, PciReg.COMMAND, 3, 2);
    f.reset();
    expect(bus.in8(0xd004)).toBe(0xff);
    expect(f.listBars().every((bar) => bar.address === -1)).toBe(true);
  });

  it('unmaps while a BAR is being sized with decoding on, or holds no possible address', () => {
    const { add, pci } = createBoard();
    const f = add();
    pci.configWrite(0, PciReg.COMMAND, 3, 2);
    const io = (): number => (f.listBars()[0] as { address: number }).address;
    const memory = (): number => (f.listBars()[1] as { address: number }).address;
    const wide = (): number => (f.listBars()[2] as { address: number }).address;
    pci.configWrite(0, 0x10, 0xffffffff, 4);
    pci.configWrite(0, 0x14, 0xffffffff, 4);
    pci.configWrite(0, 0x1c, 0xffffffff, 4);
    expect([io(), memory(), wide()]).toEqual([-1, -1, -1]);
    pci.configWrite(0, 0x10, 0x10000, 4);
    expect(io()).toBe(-1);
    pci.configWrite(0, 0x14, 0x0, 4);
    expect(memory()).toBe(-1);
    pci.configWrite(0, 0x10, 0xffe1, 4);
    expect(io()).toBe(0xffe0);
  });

  it('hides a BAR that was moved onto RAM', () => {
    const { bus, add, pci } = createBoard();
    add();
    bus.memory.write8(0x2004, 0x77);
    pci.configWrite(0, 0x14, 0x2000, 4);
    pci.configWrite(0, PciReg.COMMAND, 2, 2);
    expect(bus.memory.read8(0x2004)).toBe(0x77);
  });

  it('routes INTx by swizzle, wired-or, with the disable bit and the status bit', () => {
    const { lines, add, pci } = createBoard();
    const a = add({ addr: '1' });
    const b = add({ addr: '5' });
    a.raise(1);
    b.raise(1);
    expect(lines).toEqual([0, 1, 0, 0]);
    a.raise(0);
    expect(lines[1]).toBe(1);
    pci.configWrite(b.devfn, PciReg.COMMAND, 0x400, 2);
    expect(lines[1]).toBe(0);
    expect(b.le16(PciReg.STATUS) & 8).toBe(8);
    pci.configWrite(b.devfn, PciReg.COMMAND, 0, 2);
    expect(lines[1]).toBe(1);
    b.unrealize();
    expect(lines[1]).toBe(0);
    expect(pci.device(40)).toBeNull();
  });

  it('sends MSI only with enable and bus mastering, and then no INTx', () => {
    const { lines, messages, add, pci } = createBoard();
    const f = add({ addr: '0' });
    const at = f.config[PciReg.CAPABILITIES] as number;
    expect(pci.configRead(0, at, 4)).toBe(0x00840005);
    pci.configWrite(0, at + 4, 0xfee01003, 4);
    pci.configWrite(0, at + 12, 0x4041, 2);
    f.message(0);
    pci.configWrite(0, at + 2, 0x21, 2); // enable, four messages
    f.message(0);
    expect(messages).toEqual([]);
    pci.configWrite(0, PciReg.COMMAND, 4, 2);
    f.message(3);
    f.message(7);
    f.raise(1);
    expect(messages).toEqual(['fee01000=4043', 'fee01000=4043']);
    expect(lines[0]).toBe(0);
  });

  it('is placed by addr or in the first free slot, and refuses a taken one by name', () => {
    const { add, pci } = createBoard();
    expect(add({ addr: '00.1' }).devfn).toBe(1);
    expect(add().devfn).toBe(8);
    expect(() => add({ addr: '0x1.0' })).toThrow(
      'PCI: slot 01.0 function 0 not available for test-function, in use by test-function,id=test-function.1',
    );
    expect(() => add({ addr: '20' })).toThrow("Property 'test-function.addr' doesn't take value '20'");
    for (let i = 0; i < 30; i++) add();
    expect(() => add()).toThrow('all in use');
    expect(pci.devices.length).toBe(32);
  });

  it('lists itself in info pci', () => {
    const { add, pci } = createBoard();
    add({ addr: '3' });
    pci.configWrite(24, 0x10, 0xc040, 4);
    pci.configWrite(24, PciReg.COMMAND, 1, 2);
    pci.configWrite(24, PciReg.INTERRUPT_LINE, 11, 1);
    expect(formatInfoPci(pci)).toBe(
      [
        '  Bus  0, device   3, function 0:',
        '    Ethernet controller: PCI device 1234:5678',
        '      PCI subsystem 1af4:1100',
        '      IRQ 11, pin A',
        '      BAR0: I/O at 0xc040 [0xc05f].',
        '      BAR1: 32 bit memory unmapped [4096 bytes].',
        '      BAR2: 64 bit memory unmapped [4096 bytes].',
        '      BAR6: 32 bit memory unmapped [2048 bytes].',
        '      id "test-function"',
        '',
      ].join('\n'),
    );
  });

  it('survives a round trip with its mappings, and keeps read-only bits against a forged state', () => {
    const { add, pci } = createBoard();
    const f = add();
    pci.configWrite(0, 0x10, 0xc000, 4);
    pci.configWrite(0, PciReg.COMMAND, 7, 2);
    f.raise(1);
    const boards: Board[] = [];
    checkRoundTrip(f, () => {
      boards.push(createBoard());
      return (boards.at(-1) as Board).add();
    });
    const loaded = boards[0] as Board;
    expect(loaded.lines[0]).toBe(1);
    expect((loaded.pci.device(0) as TestFunction).listBars()[0]).toMatchObject({ address: 0xc000 });
    for (const board of boards) expect((board.pci.device(0) as TestFunction).vendorAndDevice).toBe(0x56781234);
    expect(saveState(f).length).toBeGreaterThan(256);
  });

  it('holds its invariants under random configuration programs and unplugging', () => {
    const { bus, pci, add, lines } = createBoard();
    const functions = [add({ addr: '0' }), add({ addr: '1' }), add({ addr: '2' })];
    const ram = new Uint8Array(0x10000).map((_, i) => i * 31);
    bus.memory.dmaWrite(0, ram);
    const lowRam = new Uint8Array(0x10000);
    const view = new AddressSpace({ name: 'check', root: bus.memoryRoot });
    fuzzDevice({
      bus,
      seed: 42,
      operations: 15_000,
      ports: [0xcf8, 0xcfa, 0xcfc, 0xcfd, 0xcfe, 0xcff],
      maxAdvance: 0,
      extra: {
        select: (r) =>
          bus.out32(
            0xcf8,
            0x80000000 +
              r.below(4) * 2048 +
              r.pick([4, 0x10, 0x14, 0x18, 0x1c, 0x30, 0x3c, 0x40, 0x44, 0x48, 0x4c, 0xfc]),
          ),
        raise: (r) => functions[r.below(3)]?.raise(r.below(2)),
        message: (r) => functions[r.below(3)]?.message(r.below(40)),
        replug: (r) => {
          const slot = r.below(3);
          functions[slot]?.unrealize();
          functions[slot]?.unrealize();
          functions[slot] = add({ addr: String(slot) });
        },
      },
      invariant: () => {
        for (const f of functions) {
          if (f.vendorAndDevice !== 0x56781234 || f.config[PciReg.INTERRUPT_PIN] !== 1)
            return 'a read-only register changed';
          for (const bar of f.listBars())
            if (bar.address >= 0 && bar.address % bar.size !== 0) return 'a BAR is mapped unaligned';
        }
        for (let line = 0; line < 4; line++) if (lines[line] !== pci.intxLevel(line)) return `line ${line} is stale`;
        if (view.view.ranges.length > 40) return 'mappings pile up';
        return null;
      },
    });
    bus.memory.dmaRead(0, lowRam);
    expect(lowRam).toEqual(ram);
  }, 30_000);
});
