/** Random commands, lines and acknowledges against a second reading of the priority rules. */
import { createFakeBus, fuzzDevice } from '@emkit/device-testbed';
import { expect, it } from 'vitest';
import { I8259 } from './index.ts';
import type { PicChipState } from './pic-chip.ts';

/** The level to be served, found by walking the levels from the highest priority down. */
function winner(c: PicChipState, isMaster: boolean): number {
  if (c.initStep !== 0) return -1;
  for (let i = 1; i <= 8; i++) {
    const level = (c.lowest + i) % 8;
    const bit = 1 << level;
    const isMasked = (c.imr & bit) !== 0;
    const isServing = (c.isr & bit) !== 0 && !(c.specialMask && isMasked);
    const isWanted = (c.irr & bit) !== 0 && !isMasked;
    if (isServing) return isWanted && isMaster && level === 2 && (c.icw4 & 0x10) !== 0 ? level : -1;
    if (isWanted) return level;
  }
  return -1;
}

it.each([1, 2, 3])('holds its invariants (seed %d)', (seed) => {
  const bus = createFakeBus();
  const pic = bus.add(I8259);
  const { master, slave } = pic.state;
  let acknowledged = 0;
  let fromSlave = 0;
  fuzzDevice({
    bus,
    seed,
    operations: 40_000,
    ports: [0x20, 0x21, 0xa0, 0xa1],
    maxAdvance: 0,
    extra: {
      line: (random) => pic.gpioIn('', random.below(16)).set(random.below(2)),
      line2: (random) => pic.gpioIn('', random.below(16)).set(random.below(2)),
      elcr: (random) => pic.gpioIn('elcr', random.below(16)).set(random.below(2)),
      init: (random) => {
        for (const value of [0x11, 0x20, 4, random.pick([1, 3, 0x11]), 0])
          bus.out8(value === 0x11 ? 0x20 : 0x21, value);
        for (const value of [0x11, 0x28, 2, 1, 0]) bus.out8(value === 0x11 ? 0xa0 : 0xa1, value);
      },
      acknowledge: () => {
        const level = winner(master, true);
        const slaveLevel = winner(slave, false);
        const isAuto = (master.icw4 & 2) !== 0;
        const vector = pic.acknowledge();
        acknowledged++;
        if (level !== 2) {
          if (vector !== (master.vectorBase | (level < 0 ? 7 : level)))
            throw new Error(`vector ${vector} for level ${level}`);
        } else {
          fromSlave++;
          if (vector !== (slave.vectorBase | (slaveLevel < 0 ? 7 : slaveLevel)))
            throw new Error(`vector ${vector} for slave level ${slaveLevel}`);
        }
        if (level >= 0 && !isAuto && (master.isr & (1 << level)) === 0) throw new Error('taken but not in service');
      },
    },
    invariant: () => {
      if (pic.isRequesting !== winner(master, true) >= 0) return 'INT differs from the priority rules';
      if (((master.lines & 4) !== 0) !== winner(slave, false) >= 0) return 'the slave is not wired to IR2';
      const levels = slave.icw1 & 8 ? 0xff : slave.elcr;
      return (slave.irr & levels) === (slave.lines & levels) ? null : 'a level-triggered request differs from its line';
    },
  });
  expect(acknowledged).toBeGreaterThan(1000);
  expect(fromSlave).toBeGreaterThan(50);
});
