import { MemoryRegion, RamBlock } from '@emkit/memory';
import { checkRoundTrip, createFakeBus, type FakeBus, fuzzDevice } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { type I8237Dma, I8237, MAX_SERVICE_CALLS, MAX_TRANSFER_UNITS } from './index.ts';

const SINGLE = 0x40;
const WRITE = 0x04;
const READ = 0x08;
const AUTO = 0x10;
const DOWN = 0x20;
const PAGES = [0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a];

function setup(): { bus: FakeBus; dma: I8237Dma } {
  const bus = createFakeBus();
  return { bus, dma: bus.add(I8237) };
}

/** As a driver does it: mask, flip-flop, mode, address, count, page, unmask. `count` in units. */
function program(bus: FakeBus, channel: number, mode: number, address: number, count: number): void {
  const word = channel >= 4;
  const port = (register: number): number => (word ? 0xc0 + register * 2 : register);
  const n = channel & 3;
  bus.out8(port(0xa), 4 | n);
  bus.out8(port(0xc), 0);
  bus.out8(port(0xb), mode | n);
  const counter = word ? (address >> 1) & 0xffff : address & 0xffff;
  bus.out8(port(n * 2), counter & 0xff);
  bus.out8(port(n * 2), counter >> 8);
  bus.out8(port(n * 2 + 1), (count - 1) & 0xff);
  bus.out8(port(n * 2 + 1), (count - 1) >> 8);
  bus.out8(PAGES[channel] as number, address >> 16);
  bus.out8(port(0xa), n);
}

const word = (bus: FakeBus, port: number): number => bus.in8(port) | (bus.in8(port) << 8);
const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => i + 1);
const memory = (bus: FakeBus, at: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => bus.memory.read8(at + i));

describe('8237 registers', () => {
  it('reads back current address and count through the flip-flop', () => {
    const { bus, dma } = setup();
    program(bus, 2, SINGLE | WRITE, 0x12345, 0x200);
    expect([word(bus, 4), word(bus, 5)]).toEqual([0x2345, 0x1ff]);
    expect(bus.in8(0x81)).toBe(1);
    dma.setRequest(2, 1);
    expect(dma.write(2, bytes(0x10))).toBe(0x10);
    expect([word(bus, 4), word(bus, 5)]).toEqual([0x2355, 0x1ef]);
    bus.in8(4);
    bus.out8(0xc, 0); // back to the low byte
    expect(word(bus, 4)).toBe(0x2355);
  });

  it('masks singly, all, and by master clear; reads the mask back', () => {
    const { bus } = setup();
    expect([bus.in8(0xf), bus.in8(0xde)]).toEqual([0xf, 0xf]);
    bus.out8(0xe, 0);
    bus.out8(0xa, 6);
    expect(bus.in8(0xf)).toBe(4);
    bus.out8(0xf, 0xf9);
    expect(bus.in8(0xf)).toBe(9);
    bus.out8(0xda, 0);
    bus.out8(0xd, 0);
    expect(bus.in8(0xf)).toBe(0xf);
  });

  it('shows requests and terminal counts in the status, which a read clears', () => {
    const { bus, dma } = setup();
    program(bus, 1, SINGLE | WRITE, 0x1000, 4);
    dma.setRequest(1, 1);
    dma.setRequest(3, 1);
    bus.out8(9, 4); // software request of channel 0
    expect(bus.in8(8)).toBe(0xb0);
    dma.write(1, bytes(4));
    expect(bus.in8(8)).toBe(0xb2);
    expect(bus.in8(8)).toBe(0xb0);
    dma.setRequest(3, 0);
    bus.out8(9, 0);
    expect(bus.in8(8)).toBe(0x20);
  });

  it('has sixteen page latches', () => {
    const { bus } = setup();
    for (let i = 0; i < 16; i++) bus.out8(0x80 + i, i * 3);
    for (let i = 0; i < 16; i++) expect(bus.in8(0x80 + i)).toBe(i * 3);
  });
});

describe('8237 transfers', () => {
  it('writes to memory and masks itself at terminal count', () => {
    const { bus, dma } = setup();
    program(bus, 2, SINGLE | WRITE, 0x20000, 6);
    dma.setRequest(2, 1);
    expect(dma.remaining(2)).toBe(6);
    expect(dma.write(2, bytes(4))).toBe(4);
    expect([dma.terminalCount(2), dma.remaining(2)]).toEqual([false, 2]);
    expect(dma.write(2, bytes(4))).toBe(2);
    expect([dma.terminalCount(2), dma.remaining(2)]).toEqual([true, 0]);
    expect(dma.write(2, bytes(4))).toBe(0);
    expect(memory(bus, 0x20000, 8)).toEqual([1, 2, 3, 4, 1, 2, 0, 0]);
    expect(bus.in8(0xf) & 4).toBe(4);
    expect(word(bus, 5)).toBe(0xffff);
  });

  it('starts again by itself in auto-init mode', () => {
    const { bus, dma } = setup();
    program(bus, 1, SINGLE | READ | AUTO, 0x3000, 4);
    bus.memory.dmaWrite(0x3000, Uint8Array.of(9, 8, 7, 6));
    const target = new Uint8Array(6);
    expect(dma.read(1, target)).toBe(4);
    expect(dma.terminalCount(1)).toBe(true);
    expect(dma.read(1, target.subarray(4))).toBe(2);
    expect([...target]).toEqual([9, 8, 7, 6, 9, 8]);
    expect(word(bus, 2)).toBe(0x3002);
  });

  it('counts down, and wraps within its page', () => {
    const { bus, dma } = setup();
    program(bus, 0, SINGLE | WRITE | DOWN, 0x30001, 4);
    dma.write(0, bytes(4));
    expect([memory(bus, 0x30000, 2), memory(bus, 0x3fffe, 2)]).toEqual([
      [2, 1],
      [4, 3],
    ]);
    program(bus, 0, SINGLE | WRITE, 0x4fffe, 4);
    dma.write(0, bytes(4));
    expect([memory(bus, 0x4fffe, 2), memory(bus, 0x40000, 2)]).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(memory(bus, 0x50000, 2)).toEqual([0, 0]);
  });

  it('moves words on channels 5-7, over 128 KiB, ignoring page bit 0', () => {
    const { bus, dma } = setup();
    program(bus, 5, SINGLE | WRITE, 0x3fffe, 2);
    expect(dma.remaining(5)).toBe(4);
    expect(dma.write(5, bytes(3))).toBe(2);
    expect(dma.write(5, bytes(9))).toBe(2);
    expect([memory(bus, 0x3fffe, 2), memory(bus, 0x20000, 2)]).toEqual([
      [1, 2],
      [1, 2],
    ]);
    program(bus, 6, SINGLE | WRITE, 0x20000, MAX_TRANSFER_UNITS);
    expect(dma.write(6, new Uint8Array(0x30000).fill(5))).toBe(0x20000);
    expect(memory(bus, 0x3ffff, 2)).toEqual([5, 0]);
  });

  it('counts but stores nothing in verify mode', () => {
    const { bus, dma } = setup();
    program(bus, 2, SINGLE, 0x5000, 4);
    expect(dma.write(2, bytes(4))).toBe(4);
    expect(dma.terminalCount(2)).toBe(true);
    expect(memory(bus, 0x5000, 4)).toEqual([0, 0, 0, 0]);
  });

  it('refuses the wrong direction, masked and cascaded channels, and a disabled controller', () => {
    const { bus, dma } = setup();
    program(bus, 2, SINGLE | READ, 0x5000, 4);
    expect(dma.write(2, bytes(4))).toBe(0);
    bus.out8(8, 4);
    expect(dma.read(2, new Uint8Array(4))).toBe(0);
    bus.out8(8, 0);
    bus.out8(0xb, 0xc2 | READ);
    expect(dma.read(2, new Uint8Array(4))).toBe(0);
    expect(bus.in8(8)).toBe(0);
    expect(() => dma.register(4, () => {})).toThrow('no DMA channel 4');
    expect(() => dma.register(8, () => {})).toThrow('no DMA channel 8');
  });

  it('reaches RAM only', () => {
    const { bus, dma } = setup();
    bus.memoryRoot.add(
      0xb0000,
      MemoryRegion.io('dev', 0x10000, { read: () => expect.unreachable(), write: () => expect.unreachable() }),
      1,
    );
    bus.memoryRoot.add(0xc0000, MemoryRegion.rom('rom', new RamBlock({ name: 'rom', size: 0x10000 })), 1);
    for (const address of [0xb0000, 0xc0000, 0xff0000]) {
      program(bus, 3, SINGLE | WRITE, address, 4);
      expect(dma.write(3, bytes(4))).toBe(4);
    }
    program(bus, 3, SINGLE | READ, 0xb0000, 4);
    const target = new Uint8Array(4);
    expect(dma.read(3, target)).toBe(4);
    expect([...target]).toEqual([255, 255, 255, 255]);
    expect(bus.memory.read32(0xc0000)).toBe(0);
  });

  it('serves a requesting device from the clock, in priority order, once the channel is unmasked', () => {
    const { bus, dma } = setup();
    const order: number[] = [];
    for (const channel of [3, 1]) {
      dma.register(channel, () => {
        order.push(channel);
        dma.write(channel, bytes(2));
        if (dma.terminalCount(channel)) dma.setRequest(channel, 0);
      });
      dma.setRequest(channel, 1);
    }
    bus.advance(1);
    expect(order).toEqual([]);
    program(bus, 3, SINGLE | WRITE, 0x1000, 4);
    program(bus, 1, SINGLE | WRITE, 0x2000, 2);
    expect(order).toEqual([]); // never from inside a register access
    bus.advance(1);
    expect(order).toEqual([1, 3, 3]);
    expect(memory(bus, 0x1000, 4)).toEqual([1, 2, 1, 2]);
    expect(() => dma.register(3, () => {})).toThrow('taken');
    dma.unregister(3);
    dma.register(3, () => {});
  });

  it('bounds a device that never stops', () => {
    const { bus, dma } = setup();
    let calls = 0;
    dma.register(1, () => {
      calls++;
      dma.write(1, bytes(1));
    });
    program(bus, 1, SINGLE | WRITE | AUTO, 0x1000, 4);
    dma.setRequest(1, 1);
    dma.run();
    expect(calls).toBe(MAX_SERVICE_CALLS);
    calls = 0;
    dma.setRequest(1, 0);
    bus.advance(1000);
    expect(calls).toBe(0);
  });

  it('does not spin on a device that requests and moves nothing', () => {
    const { bus, dma } = setup();
    let calls = 0;
    dma.register(1, () => void calls++);
    program(bus, 1, SINGLE | WRITE, 0x1000, 4);
    dma.setRequest(1, 1);
    bus.advance(1_000_000);
    expect(calls).toBe(1);
  });
});

describe('8237 state', () => {
  it('survives a round trip in the middle of a transfer', () => {
    const { bus, dma } = setup();
    program(bus, 2, SINGLE | WRITE, 0x12345, 0x200);
    program(bus, 6, SINGLE | READ | AUTO, 0x40000, 0x100);
    dma.write(2, bytes(7));
    bus.in8(4);
    checkRoundTrip(dma, () => setup().dma);
  });

  it('holds its invariants under random operations with busy devices', () => {
    const { bus, dma } = setup();
    let moved = 0;
    for (const channel of [0, 1, 2, 3, 5, 6, 7]) {
      dma.register(channel, () => {
        const chunk = new Uint8Array(1 + (moved % 700)).fill(0xdd);
        const left = dma.remaining(channel);
        const count = channel % 2 === 0 ? dma.write(channel, chunk) : dma.read(channel, chunk);
        if (count > left || count > chunk.length) throw new Error(`channel ${channel} moved ${count} of ${left}`);
        moved += count + 1;
      });
    }
    const ports = [
      ...Array(16).keys(),
      ...Array.from({ length: 16 }, (_, i) => 0x80 + i),
      ...Array.from({ length: 32 }, (_, i) => 0xc0 + i),
    ];
    fuzzDevice({
      bus,
      seed: 8237,
      operations: 30_000,
      ports,
      maxAdvance: 1000,
      extra: { request: (r) => dma.setRequest(r.below(8), r.below(2)) },
      invariant: () => {
        for (const c of dma.state.controllers) {
          for (const ch of c.channels)
            if ((ch.address | ch.count | ch.baseAddress | ch.baseCount) >>> 16 !== 0)
              return 'a counter left its 16 bits';
          if ((c.mask | c.request | c.dreq | c.terminalCount) >>> 4 !== 0) return 'a channel bit beyond 3';
        }
        return null;
      },
    });
    expect(moved).toBeGreaterThan(1000);
  });
});
