import { MemoryRegion, RamBlock } from '@emkit/memory';
import { checkRoundTrip, createFakeBus, type FakeBus, fuzzDevice } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { FW_CFG, type FwCfg, FwCfgKey, MAX_FILE_NAME, MAX_FILES } from './index.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const readBytes = (bus: FakeBus, key: number, count: number): number[] => {
  bus.out16(0x510, key);
  return Array.from({ length: count }, () => bus.in8(0x511));
};
const text = (bytes: ArrayLike<number>): string => String.fromCharCode(...Array.from(bytes));

/** Runs one DMA descriptor at 0x1000; returns the control word afterwards. */
function dma(bus: FakeBus, control: number, length: number, address: number, at = 0x1000): number {
  const d = new DataView(new ArrayBuffer(16));
  d.setUint32(0, control);
  d.setUint32(4, length);
  d.setUint32(8, Math.floor(address / 2 ** 32));
  d.setUint32(12, address);
  bus.memory.dmaWrite(at, new Uint8Array(d.buffer));
  const swap = new DataView(new ArrayBuffer(4));
  swap.setUint32(0, at);
  bus.out32(0x514, 0);
  bus.out32(0x518, swap.getUint32(0, true));
  const back = new Uint8Array(4);
  bus.memory.dmaRead(at, back);
  return new DataView(back.buffer).getUint32(0);
}

function setup(): { bus: FakeBus; cfg: FwCfg } {
  const bus = createFakeBus();
  return { bus, cfg: bus.add(FW_CFG) };
}

describe('fw_cfg', () => {
  it('shows signature, id and legacy items byte by byte, zeroes past the end', () => {
    const { bus, cfg } = setup();
    expect(text(readBytes(bus, FwCfgKey.SIGNATURE, 4))).toBe('QEMU');
    expect(readBytes(bus, FwCfgKey.ID, 6)).toEqual([3, 0, 0, 0, 0, 0]);
    cfg.addI16(FwCfgKey.NB_CPUS, 2);
    cfg.addI32(FwCfgKey.KERNEL_ADDR, 0x100000);
    cfg.addI64(FwCfgKey.RAM_SIZE, 2 ** 33 + 5);
    cfg.addString(FwCfgKey.CMDLINE_DATA, 'ab');
    expect(readBytes(bus, FwCfgKey.NB_CPUS, 3)).toEqual([2, 0, 0]);
    expect(readBytes(bus, FwCfgKey.KERNEL_ADDR, 4)).toEqual([0, 0, 0x10, 0]);
    expect(readBytes(bus, FwCfgKey.RAM_SIZE, 9)).toEqual([5, 0, 0, 0, 2, 0, 0, 0, 0]);
    expect(readBytes(bus, FwCfgKey.CMDLINE_DATA, 4)).toEqual([0x61, 0x62, 0, 0]);
    expect(readBytes(bus, 0xffff, 3)).toEqual([0, 0, 0]);
    expect(readBytes(bus, 0x4000 | FwCfgKey.NB_CPUS, 2)).toEqual([2, 0]); // the write channel bit is ignored
  });

  it('lists files sorted by name, whatever the order of adding', () => {
    const { bus, cfg } = setup();
    cfg.addFile('genroms/linuxboot.bin', ascii('rom'));
    cfg.addFile('bootorder', ascii('x\0'));
    const directory = Uint8Array.from(readBytes(bus, FwCfgKey.FILE_DIR, 4 + 128));
    const view = new DataView(directory.buffer);
    expect(view.getUint32(0)).toBe(2);
    expect(text(directory.subarray(12, 22))).toBe('bootorder\0');
    expect([view.getUint32(4), view.getUint16(8)]).toEqual([2, 0x21]);
    expect(text(directory.subarray(76, 97))).toBe('genroms/linuxboot.bin');
    expect(text(readBytes(bus, view.getUint16(72), 3))).toBe('rom');
    cfg.modifyFile('bootorder', ascii('hello'));
    expect(readBytes(bus, FwCfgKey.FILE_DIR, 8).slice(4)).toEqual([0, 0, 0, 5]);
  });

  it('ignores writes to the data register, and reads of other widths', () => {
    const { bus, cfg } = setup();
    cfg.addFile('a', ascii('abc'), { writable: true });
    bus.out16(0x510, 0x20);
    bus.out8(0x511, 0xff);
    expect(bus.in16(0x510)).toBe(0xffff);
    expect(bus.in8(0x511)).toBe(0x61);
  });

  it('announces DMA by its signature, unless it is switched off', () => {
    const { bus } = setup();
    const bytes = Array.from({ length: 8 }, (_, i) => bus.in8(0x514 + i));
    expect(text(bytes)).toBe('QEMU CFG');
    expect(bus.in32(0x514)).toBe(0x554d4551);
    const off = createFakeBus();
    off.add(FW_CFG, { dma_enabled: 'off' });
    expect(off.in32(0x514)).toBe(0xffffffff);
    expect(readBytes(off, FwCfgKey.ID, 1)).toEqual([1]);
  });

  it('selects, reads, skips and zero-fills by DMA', () => {
    const { bus, cfg } = setup();
    cfg.addFile(
      'data',
      Uint8Array.from({ length: 100 }, (_, i) => i + 1),
    );
    bus.memory.write32(0x2000 + 96, 0xffffffff);
    expect(dma(bus, (0x20 << 16) | 0x08 | 0x04, 60, 0)).toBe(0); // select, skip
    expect(dma(bus, 0x02, 50, 0x2000)).toBe(0);
    expect(bus.memory.read8(0x2000)).toBe(61);
    expect(bus.memory.read8(0x2000 + 39)).toBe(100);
    expect(bus.memory.read8(0x2000 + 40)).toBe(0);
    expect(dma(bus, (0x7777 << 16) | 0x0a, 4, 0x2000)).toBe(0); // no such item: zeroes
    expect(bus.memory.read32(0x2000)).toBe(0);
    expect(dma(bus, (0x20 << 16) | 0x0a, 200_000, 0x10000)).toBe(0);
    expect(bus.memory.read8(0x10000 + 99)).toBe(100);
  });

  it('writes only writable files, within their length', () => {
    const { bus, cfg } = setup();
    const written: number[][] = [];
    cfg.addFile('fixed', ascii('abcd'));
    cfg.addFile('open', new Uint8Array(4), {
      writable: true,
      onWrite: (offset, length) => written.push([offset, length]),
    });
    bus.memory.write32(0x3000, 0x44332211);
    expect(dma(bus, (0x20 << 16) | 0x18, 4, 0x3000)).toBe(1);
    expect(dma(bus, (0x21 << 16) | 0x18, 5, 0x3000)).toBe(1);
    expect(dma(bus, (0x7777 << 16) | 0x18, 1, 0x3000)).toBe(1);
    expect(dma(bus, (0x21 << 16) | 0x0c, 1, 0)).toBe(0);
    expect(dma(bus, 0x10, 3, 0x3000)).toBe(0);
    expect(cfg.getFile('open')).toEqual(Uint8Array.from([0, 0x11, 0x22, 0x33]));
    expect(cfg.getFile('fixed')).toEqual(ascii('abcd'));
    expect(written).toEqual([[1, 3]]);
  });

  it('refuses DMA into devices, ROM, holes and over the end of RAM, and touches nothing', () => {
    const { bus, cfg } = setup();
    cfg.addFile('data', ascii('abcd'));
    bus.memoryRoot.add(
      0x200000,
      MemoryRegion.io('dev', 0x1000, { read: () => expect.unreachable(), write: () => expect.unreachable() }),
    );
    bus.memoryRoot.add(0x300000, MemoryRegion.rom('rom', new RamBlock({ name: 'rom', size: 0x1000 })));
    for (const address of [0x200000, 0x300000, 0x400000, 0xffffe, 2 ** 63, 2 ** 53])
      expect(dma(bus, (0x20 << 16) | 0x0a, 4, address)).toBe(1);
    expect(bus.memory.read16(0xffffe)).toBe(0);
    expect(dma(bus, (0x20 << 16) | 0x0a, 0xffffffff, 0)).toBe(1);
    bus.out32(0x514, 0xffffffff);
    bus.out32(0x518, 0xffffffff); // descriptor nowhere: nothing to report to
    bus.out32(0x518, 0x00002000); // descriptor in a device (0x200000 big-endian)
    expect(text(readBytes(bus, 0x20, 4))).toBe('abcd');
  });

  it('brings a file up to date when it is selected', () => {
    const { bus, cfg } = setup();
    let count = 0;
    cfg.addFile('live', new Uint8Array(1), { onSelect: () => cfg.modifyFile('live', Uint8Array.of(++count)) });
    expect(readBytes(bus, 0x20, 1)).toEqual([1]);
    expect(dma(bus, (0x20 << 16) | 0x0a, 1, 0x2000)).toBe(0);
    expect(bus.memory.read8(0x2000)).toBe(2);
  });

  it('refuses bad names and too many files by name', () => {
    const { cfg } = setup();
    cfg.addFile('a', new Uint8Array(1));
    expect(() => cfg.addFile('a', new Uint8Array(1))).toThrow('duplicate file name: a');
    expect(() => cfg.addFile('x'.repeat(MAX_FILE_NAME), new Uint8Array(1))).toThrow('must have 1..55 characters');
    cfg.addFile('x'.repeat(MAX_FILE_NAME - 1), new Uint8Array(1));
    expect(() => cfg.addFile('a\0b', new Uint8Array(1))).toThrow('printable');
    expect(() => cfg.addBytes(0x4000, new Uint8Array(1))).toThrow('key');
    for (let i = 2; i < MAX_FILES; i++) cfg.addFile(`f${i}`, new Uint8Array(1));
    expect(() => cfg.addFile('one more', new Uint8Array(1))).toThrow('more than');
  });

  it('survives a round trip in the middle of an item', () => {
    const { bus, cfg } = setup();
    readBytes(bus, FwCfgKey.SIGNATURE, 2);
    bus.out32(0x514, 0x12345678);
    checkRoundTrip(cfg, () => setup().cfg);
  });

  it('holds its invariants under random operations', () => {
    const { bus, cfg } = setup();
    const data = Uint8Array.from({ length: 300 }, (_, i) => i);
    cfg.addFile('file', data.slice());
    cfg.addFile('open', new Uint8Array(64), { writable: true });
    fuzzDevice({
      bus,
      seed: 9,
      operations: 20_000,
      ports: [0x50f, 0x510, 0x511, 0x514, 0x516, 0x518],
      maxAdvance: 0,
      extra: {
        select: (r) => bus.out16(0x510, r.pick([0, 1, 0x19, 0x20, 0x21, 0x22, 0xffff])),
        dma: (r) => {
          const control = (r.pick([0, 1, 0x19, 0x20, 0x21, 0x30]) << 16) | r.below(32);
          dma(
            bus,
            control,
            r.pick([0, 1, 16, 63, 64, 65, 5000, 0x100000, 0xffffffff]),
            r.pick([0, 0x2000, 0x1008, 0xfff00, 0x100000, 2 ** 40]),
            r.pick([0x1000, 0xffff0, 0xffff8]),
          );
        },
      },
      invariant: () => (cfg.state.offset > 300 ? 'offset beyond every item' : null),
    });
    expect(cfg.getFile('file')).toEqual(data);
    expect(cfg.getFile('open')?.length).toBe(64);
  });
});
