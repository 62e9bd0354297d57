import { describe, expect, it } from 'vitest';
import {
  AddressSpace,
  createGuestMemory,
  createPageInfo,
  DIRTY_ALL,
  DIRTY_CODE,
  DIRTY_DISPLAY,
  DIRTY_MIGRATION,
  type IoOps,
  MemoryRegion,
  MemTxResult,
  PAGE_IO,
  PAGE_NONE,
  PAGE_RAM,
  PAGE_ROM,
  PAGE_SIZE,
  PortSpace,
  RamBlock,
} from './index.ts';

declare const WebAssembly: {
  Memory: new (options: { initial: number; maximum?: number }) => { buffer: ArrayBuffer; grow(pages: number): number };
};

function recorder(options: Partial<IoOps> = {}): { log: string[]; ops: IoOps } {
  const log: string[] = [];
  return {
    log,
    ops: {
      read: (offset, size) => (log.push(`r${size}@${offset}`), size === 1 ? 0x10 + offset : 0xfeedbeef),
      write: (offset, value, size) => void log.push(`w${size}@${offset}=${value.toString(16)}`),
      ...options,
    },
  };
}

function board(ops: IoOps): AddressSpace {
  const root = MemoryRegion.container('root');
  root.add(0, MemoryRegion.ram('ram', new RamBlock({ name: 'ram', size: 0x2000 })));
  root.add(0x2000, MemoryRegion.io('dev', 0x10, ops));
  root.add(
    0x4000,
    MemoryRegion.rom('rom', new RamBlock({ name: 'rom', size: 0x1000, bytes: new Uint8Array(0x1000).fill(0xaa) })),
  );
  return new AddressSpace({ name: 'm', root });
}

describe('AddressSpace', () => {
  it('reads and writes RAM of every width, little-endian, unaligned too', () => {
    const m = board(recorder().ops);
    m.write32(0x101, 0x81828384);
    expect(m.read8(0x101)).toBe(0x84);
    expect(m.read16(0x102)).toBe(0x8283);
    expect(m.read32(0x101)).toBe(0x81828384);
    m.write64(0x200, 0xfffffffe, 0x80000001);
    expect([m.read64(0x200), m.high]).toEqual([0xfffffffe, 0x80000001]);
  });

  it('gives the open-bus value and a decode error where nothing is mapped, at any address', () => {
    const m = board(recorder().ops);
    for (const address of [0x3000, 2 ** 32, 2 ** 40 + 3, Number.MAX_SAFE_INTEGER]) {
      expect(m.read32(address)).toBe(0xffffffff);
      expect(m.txResult).toBe(MemTxResult.DECODE_ERROR);
      expect(m.read8(address)).toBe(0xff);
      m.write16(address, 1);
      expect(m.txResult).toBe(MemTxResult.DECODE_ERROR);
    }
    expect(new AddressSpace({ name: 'z', root: MemoryRegion.container('z'), openBus: 0 }).read16(0)).toBe(0);
  });

  it('ignores stores to ROM', () => {
    const m = board(recorder().ops);
    m.write32(0x4000, 0);
    expect(m.txResult).toBe(MemTxResult.OK);
    expect(m.read32(0x4000)).toBe(0xaaaaaaaa);
  });

  it('passes aligned device accesses on unchanged, and splits what straddles alignment', () => {
    const { ops, log } = recorder();
    const m = board(ops);
    expect(m.read32(0x2004)).toBe(0xfeedbeef);
    expect(m.read16(0x2004)).toBe(0xbeef);
    m.write32(0x2008, 0x11223344);
    m.read16(0x2001);
    m.write32(0x2002, 0x11223344);
    expect(log).toEqual(['r4@4', 'r2@4', 'w4@8=11223344', 'r1@1', 'r1@2', 'w2@2=3344', 'w2@4=1122']);
  });

  it('splits to the widest access the device implements, and widens to the narrowest', () => {
    const bytes = recorder({ impl: { max: 1 } });
    const m = board(bytes.ops);
    expect(m.read32(0x2000)).toBe(0x13121110);
    m.write16(0x2002, 0xabcd);
    expect(bytes.log).toEqual(['r1@0', 'r1@1', 'r1@2', 'r1@3', 'w1@2=cd', 'w1@3=ab']);
    const words = recorder({ impl: { min: 4 } });
    const n = board(words.ops);
    expect(n.read8(0x2005)).toBe(0xef);
    n.write8(0x2005, 0x7f);
    expect(words.log).toEqual(['r4@5', 'w4@5=7f']);
  });

  it('answers accesses the device declares invalid with open bus and an error', () => {
    const { ops, log } = recorder({ valid: { min: 4, max: 4 } });
    const m = board(ops);
    expect(m.read8(0x2000)).toBe(0xff);
    expect(m.txResult).toBe(MemTxResult.ERROR);
    m.write16(0x2000, 1);
    expect(m.txResult).toBe(MemTxResult.ERROR);
    expect(m.read32(0x2000)).toBe(0xfeedbeef);
    expect(log).toEqual(['r4@0']);
  });

  it('swaps bytes for a big-endian device, split or not', () => {
    const values: number[] = [];
    const whole = board({ read: () => 0x11223344, write: (_o, v) => void values.push(v), endianness: 'big' });
    expect(whole.read32(0x2000)).toBe(0x44332211);
    whole.write16(0x2000, 0x1234);
    expect(values).toEqual([0x3412]);
    const split = board({
      read: (o) => o,
      write: (o, v) => void values.push(o, v),
      endianness: 'big',
      impl: { max: 1 },
    });
    expect(split.read32(0x2000)).toBe(0x03020100); // a byte register is at its address in either order
    split.write32(0x2000, 0x44332211);
    expect(values.slice(1)).toEqual([0, 0x11, 1, 0x22, 2, 0x33, 3, 0x44]);
  });

  it('gives a 64-bit device one access, others two', () => {
    const log: string[] = [];
    const m = board({
      read: () => 7,
      write: () => {},
      read64: (offset, out) => {
        out[0] = offset;
        out[1] = 0x80000000;
      },
      write64: (offset, low, high) => void log.push(`${offset}:${high.toString(16)}:${low.toString(16)}`),
    });
    expect([m.read64(0x2008), m.high]).toEqual([8, 0x80000000]);
    m.write64(0x2000, -1, 1);
    expect(log).toEqual(['0:1:ffffffff']);
    expect([m.read64(0x2004), m.high]).toEqual([7, 7]);
  });

  it('tells the TLB what stands behind a page', () => {
    const memory = new WebAssembly.Memory({ initial: 4 });
    const block = new RamBlock({ name: 'ram', size: 0x8000, memory, offset: 0x10000 });
    const root = MemoryRegion.container('root');
    const region = MemoryRegion.ram('ram', block);
    root.add(0, region);
    root.add(0x3800, MemoryRegion.io('dev', 0x10, recorder().ops), 1);
    root.add(0x10000, MemoryRegion.alias('shadow', region, { offset: 0x1000, size: 0x1000, readonly: true }));
    root.add(0x20000, MemoryRegion.alias('skewed', region, { offset: 0x10, size: 0x2000 }));
    root.add(0x30800, MemoryRegion.io('late', 0x10, recorder().ops));
    const m = new AddressSpace({ name: 'm', root });
    const info = createPageInfo();
    expect(m.lookupPage(2, info)).toBe(PAGE_RAM);
    expect(info).toEqual({ kind: PAGE_RAM, hostOffset: 0x12000, block, blockPage: 2 });
    expect(m.lookupPage(3, info)).toBe(PAGE_IO);
    expect(info.block).toBeNull();
    expect(m.lookupPage(0x10, info)).toBe(PAGE_ROM);
    expect(info.hostOffset).toBe(0x11000);
    expect(m.lookupPage(0x20, info)).toBe(PAGE_IO);
    expect(m.lookupPage(0x30, info)).toBe(PAGE_IO);
    expect(m.lookupPage(0x31, info)).toBe(PAGE_NONE);
    expect(m.lookupPage(2 ** 40, info)).toBe(PAGE_NONE);
    expect(board(recorder().ops).lookupPage(0, info)).toBe(PAGE_IO); // not in a WebAssembly memory
  });

  it('finds its bytes again after the WebAssembly memory has grown', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
    const block = new RamBlock({ name: 'ram', size: 0x1000, memory, offset: 0x800 });
    const root = MemoryRegion.container('root');
    root.add(0, MemoryRegion.ram('ram', block));
    const m = new AddressSpace({ name: 'm', root });
    m.write32(4, 0xcafef00d);
    memory.grow(1);
    expect(m.read32(4)).toBe(0xcafef00d);
    m.write8(4, 1);
    expect(new Uint8Array(memory.buffer)[0x804]).toBe(1);
  });

  it('refuses DMA to devices, ROM and holes, whole', () => {
    const { ops, log } = recorder();
    const m = board(ops);
    const four = new Uint8Array([1, 2, 3, 4]);
    expect(m.dmaWrite(0x1ffe, four)).toBe(MemTxResult.ACCESS_DENIED);
    expect(m.read16(0x1ffe)).toBe(0);
    expect(m.dmaWrite(0x4000, four)).toBe(MemTxResult.ACCESS_DENIED);
    expect(m.dmaWrite(0x5000, four)).toBe(MemTxResult.DECODE_ERROR);
    expect(m.dmaRead(0x4ffe, four)).toBe(MemTxResult.DECODE_ERROR);
    expect(m.dmaRead(Number.MAX_SAFE_INTEGER, four)).toBe(MemTxResult.DECODE_ERROR);
    expect(m.dmaRead(-1, four)).toBe(MemTxResult.DECODE_ERROR);
    expect(m.dmaRead(Number.NaN, four)).toBe(MemTxResult.DECODE_ERROR);
    expect(four).toEqual(new Uint8Array([1, 2, 3, 4]));
    expect(log).toEqual([]);
    expect(m.dmaWrite(0x1ffc, four)).toBe(MemTxResult.OK);
    expect(m.read32(0x1ffc)).toBe(0x04030201);
    expect(m.dmaMap(0x1ffc, 4, false)).toEqual(four);
    expect(m.dmaMap(0x1ffd, 4, false)).toBeNull();
    expect(m.dmaMap(0x4000, 4, true)).toBeNull();
    m.readBytes(0x1ffe, four); // the debugger may
    expect(log.length).toBeGreaterThan(0);
  });

  it('serves loaders through GuestMemory, all or nothing, ROM on request', () => {
    const m = board(recorder().ops);
    const guest = createGuestMemory(m);
    expect(guest.write(0x4000, new Uint8Array(4))).toBe(false);
    expect(guest.fill(0x1000, 0x1001, 9)).toBe(false);
    expect(m.read8(0x1000)).toBe(0);
    expect(guest.fill(0x1000, 0x1000, 9)).toBe(true);
    expect(m.read8(0x1fff)).toBe(9);
    expect(createGuestMemory(m, { writeRom: true }).write(0x4000, new Uint8Array(4))).toBe(true);
    expect(m.read32(0x4000)).toBe(0);
    expect(guest.contains(0, 0x2001)).toBe(false);
  });
});

describe('dirty bitmap', () => {
  it('serves several clients and tells when pages must be watched again', () => {
    const block = new RamBlock({ name: 'ram', size: 4 * PAGE_SIZE });
    const root = MemoryRegion.container('root');
    root.add(0, MemoryRegion.ram('ram', block));
    const m = new AddressSpace({ name: 'm', root });
    const watched: string[] = [];
    block.dirty.addProtectListener((first, count) => watched.push(`${first}+${count}`));
    expect(block.dirty.collectAndClear(0, block.size, DIRTY_DISPLAY)).toEqual([0, 1, 2, 3]);
    expect(watched).toEqual(['0+4']);
    m.write16(2 * PAGE_SIZE - 1, 0xffff);
    m.dmaWrite(3 * PAGE_SIZE, new Uint8Array(1));
    expect(block.dirty.collectAndClear(0, block.size, DIRTY_DISPLAY)).toEqual([1, 2, 3]);
    expect(block.dirty.collectAndClear(0, block.size, DIRTY_DISPLAY)).toEqual([]);
    expect(block.dirty.collectAndClear(PAGE_SIZE, PAGE_SIZE, DIRTY_MIGRATION)).toEqual([1]);
    expect(block.dirty.isDirty(0, DIRTY_MIGRATION)).toBe(true);
  });

  it('reports stores to translated pages until no code is left', () => {
    const block = new RamBlock({ name: 'ram', size: 4 * PAGE_SIZE });
    const root = MemoryRegion.container('root');
    root.add(0, MemoryRegion.ram('ram', block));
    const m = new AddressSpace({ name: 'm', root });
    const hits: string[] = [];
    block.dirty.setCodeListener((offset, length) => {
      hits.push(`${offset}+${length}`);
      if (hits.length === 2) block.dirty.set(1, DIRTY_CODE);
    });
    block.dirty.clear(1, 1, DIRTY_CODE);
    m.write32(PAGE_SIZE - 2, 1); // half of it in the page
    m.write8(10, 1);
    m.write8(PAGE_SIZE + 5, 1);
    m.write8(PAGE_SIZE + 6, 1);
    expect(hits).toEqual([`${PAGE_SIZE}+2`, `${PAGE_SIZE + 5}+1`]);
    expect(block.dirty.flags[1]).toBe(DIRTY_ALL);
  });
});

describe('PortSpace', () => {
  it('dispatches by port, splits words over neighbours, and leaves the rest open', () => {
    const root = MemoryRegion.container('io', 0x10000);
    const a = recorder({ impl: { max: 1 } });
    const b = recorder();
    root.add(0x60, MemoryRegion.io('a', 1, a.ops));
    const second = MemoryRegion.io('b', 4, b.ops);
    root.add(0x61, second);
    const ports = new PortSpace({ name: 'I/O', root });
    expect(ports.read8(0x60)).toBe(0x10);
    expect(ports.read16(0x60)).toBe(0x1010);
    ports.write16(0x60, 0x2211);
    expect(a.log).toEqual(['r1@0', 'r1@0', 'w1@0=11']);
    expect(b.log).toEqual(['r1@0', 'w1@0=22']);
    expect(ports.read32(0x70)).toBe(0xffffffff);
    expect(ports.read32(0xfffe)).toBe(0xffffffff);
    expect(ports.read8(0x10061)).toBe(0xff);
    const wide = recorder({ keepsWhole: true });
    root.add(0xcf8, MemoryRegion.io('config address', 4, wide.ops));
    root.add(0xcf9, MemoryRegion.io('reset', 1, recorder().ops), 1);
    ports.write32(0xcf8, 0x80000000);
    ports.write8(0xcf9, 6);
    ports.write16(0xcfa, 0x1234);
    expect(ports.read32(0xcf8)).toBe(0xfeedbeef);
    expect(wide.log).toEqual(['w4@0=80000000', 'w2@2=1234', 'r4@0']);
    second.setOffset(0xfffc);
    expect(ports.read32(0xfffc)).toBe(0xfeedbeef);
    expect(ports.read8(0x61)).toBe(0xff);
  });
});
