/** Random registers, input, breaks and time: no byte is lost or invented, and the line follows the registers. */
import { createFakeBus, fuzzDevice } from '@emkit/device-testbed';
import { expect, it } from 'vitest';
import { FIFO_SIZE, ISA_SERIAL } from './index.ts';
import { MCR_LOOP, MCR_OUT2 } from './registers.ts';

it.each([1, 2, 3])('holds its invariants (seed %d)', (seed) => {
  const bus = createFakeBus();
  const waiting: number[] = [];
  let taken = 0;
  let written = 0;
  let flushed = 0;
  const line = {
    onReadable: undefined as (() => void) | undefined,
    onBreak: undefined as (() => void) | undefined,
    write: (bytes: Uint8Array) => void (flushed += bytes.length),
    read: (max: number) => {
      if (max < 1 || max > FIFO_SIZE) throw new Error(`read(${max})`);
      const bytes = waiting.splice(0, max);
      taken += bytes.length;
      return Uint8Array.from(bytes);
    },
  };
  const uart = bus.add(ISA_SERIAL, { chardev: line });
  const ports = Array.from({ length: 8 }, (_, i) => 0x3f8 + i);
  fuzzDevice({
    bus,
    seed,
    operations: 20_000,
    ports,
    extra: {
      input: (random) => {
        for (let n = random.below(40); n > 0; n--) waiting.push(random.below(256));
        line.onReadable?.();
      },
      break: () => line.onBreak?.(),
      send: () => {
        if ((bus.in8(0x3fb) & 0x80) !== 0 || (bus.in8(0x3fc) & MCR_LOOP) !== 0) return;
        const before = flushed;
        uart.flush();
        const left = flushed - before;
        bus.out8(0x3f8, 1);
        uart.flush();
        written++;
        if (flushed !== before + left + 1) throw new Error('one byte written, another number sent');
      },
    },
    invariant: () => {
      const s = uart.state;
      if (waiting.length > 1000) waiting.length = 1000;
      if ((s.mcr & MCR_LOOP) === 0 && s.rx.count === 0 && waiting.length > 0) return 'input waits though there is room';
      if (bus.irqs.levels[4] === 1 && ((s.mcr & MCR_OUT2) === 0 || s.ier === 0))
        return 'an interrupt that is not enabled';
      if ((s.fcr & 1) === 0 && s.rx.count > 1) return 'two characters without FIFO';
      return s.timeoutPending && s.rx.count === 0 ? 'timeout without a character' : null;
    },
  });
  expect(taken).toBeGreaterThan(1000);
  expect(written).toBeGreaterThan(20);
});

it('gives every byte to the guest in order, whatever the sizes of the pieces', () => {
  const bus = createFakeBus();
  const waiting: number[] = [];
  const line = {
    onReadable: undefined as (() => void) | undefined,
    onBreak: undefined,
    write: () => {},
    read: (max: number) => Uint8Array.from(waiting.splice(0, max)),
  };
  bus.add(ISA_SERIAL, { chardev: line });
  bus.out8(0x3fa, 1);
  let sent = 0;
  let got = 0;
  for (let round = 0; round < 3000; round++) {
    for (let n = (round * 7) % 23; n > 0; n--) waiting.push(sent++ & 0xff);
    line.onReadable?.();
    for (let n = (round * 5) % 29; n > 0 && (bus.in8(0x3fd) & 1) !== 0; n--) expect(bus.in8(0x3f8)).toBe(got++ & 0xff);
  }
  while ((bus.in8(0x3fd) & 1) !== 0) expect(bus.in8(0x3f8)).toBe(got++ & 0xff);
  expect(got).toBe(sent);
});
