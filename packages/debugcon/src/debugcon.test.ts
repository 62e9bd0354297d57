import { createFakeBus, fuzzDevice } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { ISA_DEBUG_EXIT, ISA_DEBUGCON, MAX_EXIT_SIZE } from './index.ts';

describe('isa-debugcon', () => {
  it('passes bytes on and answers 0xE9', () => {
    const bus = createFakeBus();
    const bytes: number[] = [];
    bus.add(ISA_DEBUGCON, { chardev: { write: (byte: number) => bytes.push(byte) } });
    for (const char of 'hi\n') bus.out8(0xe9, char.charCodeAt(0));
    bus.out16(0xe9, 0x4241); // the second byte goes to the next port
    expect(String.fromCharCode(...bytes)).toBe('hi\nA');
    expect(bus.in8(0xe9)).toBe(0xe9);
  });

  it('sits where its properties say, and needs no chardev', () => {
    const bus = createFakeBus();
    const console = bus.add(ISA_DEBUGCON, { iobase: '0x402', readback: '0x12' });
    bus.out8(0x402, 1);
    expect([bus.in8(0x402), bus.in8(0xe9)]).toEqual([0x12, 0xff]);
    console.unrealize();
    expect(bus.in8(0x402)).toBe(0xff);
  });
});

describe('isa-debug-exit', () => {
  it('ends the machine with (v << 1) | 1', () => {
    const bus = createFakeBus();
    bus.add(ISA_DEBUG_EXIT);
    bus.out8(0x501, 0);
    bus.out16(0x501, 0x1234);
    bus.out8(0x502, 0x10);
    expect(bus.shutdowns).toEqual([
      { cause: 'isa-debug-exit', exitCode: 1 },
      { cause: 'isa-debug-exit', exitCode: 0x2469 },
      { cause: 'isa-debug-exit', exitCode: 0x21 },
    ]);
    expect(bus.in16(0x501)).toBe(0);
  });

  it('takes 32-bit values when it is four ports wide', () => {
    const bus = createFakeBus();
    bus.add(ISA_DEBUG_EXIT, { iobase: '0xf4', iosize: '0x04' });
    bus.out32(0xf4, 0x80000010);
    expect(bus.shutdowns[0]?.exitCode).toBe(0x21);
  });

  it.each([0, MAX_EXIT_SIZE + 1, 255])('refuses %d ports', (iosize) => {
    expect(() => createFakeBus().add(ISA_DEBUG_EXIT, { iosize })).toThrow("doesn't take value");
    expect(() => createFakeBus().add(ISA_DEBUG_EXIT, { iosize: MAX_EXIT_SIZE })).not.toThrow();
  });
});

it('counts every byte under random operations', () => {
  const bus = createFakeBus();
  let bytes = 0;
  bus.add(ISA_DEBUGCON, {
    chardev: {
      write: (byte: number) => {
        if (byte < 0 || byte > 255) throw new Error('not a byte');
        bytes++;
      },
    },
  });
  bus.add(ISA_DEBUG_EXIT);
  fuzzDevice({
    bus,
    seed: 5,
    operations: 10_000,
    ports: [0xe7, 0xe8, 0xe9, 0x500, 0x501, 0x502, 0x503],
    invariant: () => (bus.shutdowns.every((s) => ((s.exitCode as number) & 1) === 1) ? null : 'even exit code'),
  });
  expect(bytes).toBeGreaterThan(100);
});
