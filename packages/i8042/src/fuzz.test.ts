/** Random commands, keys, movement and time: queues keep their bounds, lines follow the output buffer, nothing gets stuck. */
import { createFakeBus, fuzzDevice } from '@emkit/device-testbed';
import { expect, it } from 'vitest';
import { BYTE_GAP_NS, I8042, KEYS, MAX_PENDING_MOVEMENT } from './index.ts';

it.each([1, 2, 3])('holds its invariants (seed %d)', (seed) => {
  const bus = createFakeBus();
  const kbc = bus.add(I8042);
  const s = kbc.state;
  let bytes = 0;
  fuzzDevice({
    bus,
    seed,
    operations: 20_000,
    ports: [0x60, 0x60, 0x64],
    extra: {
      key: (random) => kbc.pressKey(random.pick(KEYS).name, random.below(2) === 0),
      mouse: (random) =>
        kbc.mouseMove(random.below(1000) - 500, random.below(1000) - 500, random.below(9) - 4, random.below(8)),
      calm: () => {
        bus.out8(0x64, 0x60);
        bus.out8(0x60, 0x47);
      },
      enable: () => {
        bus.out8(0x64, 0xd4);
        bus.out8(0x60, 0xf4);
        bus.out8(0x60, 0xf4);
      },
      drain: () => {
        for (let i = 0; i < 20; i++) {
          bus.advance(BYTE_GAP_NS);
          if ((bus.in8(0x64) & 1) === 0) break;
          bus.in8(0x60);
          bytes++;
        }
      },
    },
    invariant: () => {
      const ctr = s.ram[0] as number;
      const isMouse = s.source === 2;
      if ((bus.irqs.levels[1] === 1) !== (s.isFull && !isMouse && (ctr & 1) !== 0))
        return 'IRQ1 differs from the output buffer';
      if ((bus.irqs.levels[12] === 1) !== (s.isFull && isMouse && (ctr & 2) !== 0))
        return 'IRQ12 differs from the output buffer';
      for (const queue of [s.replies, s.keyboard.replies, s.keyboard.keys, s.mouse.replies, s.mouse.packets]) {
        if (queue.count < 0 || queue.count > queue.data.length || queue.head >= queue.data.length)
          return 'a queue is out of its bounds';
      }
      if (Math.abs(s.mouse.dx) > MAX_PENDING_MOVEMENT || Math.abs(s.mouse.dy) > MAX_PENDING_MOVEMENT)
        return 'movement without bound';
      const canSend =
        ((ctr & 0x10) === 0 && s.keyboard.replies.count + s.keyboard.keys.count > 0) ||
        ((ctr & 0x20) === 0 && s.mouse.replies.count + s.mouse.packets.count > 0);
      if (!s.isFull && canSend && s.gap.deadline < 0) return 'a byte waits, and nothing will fetch it';
      return s.keyboard.repeatKey >= 0 && s.keyboard.held[s.keyboard.repeatKey] === 0
        ? 'a key repeats that is not held'
        : null;
    },
  });
  expect(bytes).toBeGreaterThan(300);
});
