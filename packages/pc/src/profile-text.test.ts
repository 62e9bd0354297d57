/** Reports, tables and flame graphs of a profile whose numbers are known; the walk over a guest's stack. */
import type { ProfileData } from '@emkit/accel-tcg';
import { PAGE_NONE, PAGE_RAM } from '@emkit/memory';
import { describe, expect, it } from 'vitest';
import type { Board } from './board.ts';
import { createStackWalker } from './guest-stack.ts';
import { hexNumber, profileReport } from './profile-report.ts';
import type { Symbols } from './profile-report.ts';
import { collapsedStacks, formatProfile, speedscope } from './profile-text.ts';

const KERNEL = -0x7f000000;
const symbols: Symbols = {
  find: (a) => (a >= KERNEL && a < 0 ? { name: 'do_work', offset: a - KERNEL } : undefined),
};
const data: ProfileData = {
  ms: { run: 100, generated: 60, compile: 10, calls: 20 },
  retired: 5_000_000,
  interrupts: 3,
  leaves: new Map([['lookup', 7]]),
  slow: { load: { count: 4, ms: 2 }, store: { count: 0, ms: 0 }, fault: { count: 1, ms: 0.5 } },
  helpers: new Map([
    ['rdtsc', { count: 2, ms: 1 }],
    ['rep_movs', { count: 10, ms: 16 }],
  ]),
  tlb: { fills: 5, flushes: 1 },
  compiler: { modules: 1, regions: 2, live: 1, dropped: 1, bytes: 1234, ms: 10 },
  blocks: { translated: 9, invalidated: 1, flushes: 0 },
  regions: [
    {
      address: 0x400000,
      user: true,
      blocks: 3,
      insns: 12,
      pages: 1,
      compilations: 1,
      entries: 100,
      exits: new Map([['jump', 100]]),
      coldAt: new Map(),
      dropped: 0,
    },
    {
      address: KERNEL + 0x10,
      user: false,
      blocks: 5,
      insns: 40,
      pages: 2,
      compilations: 2,
      entries: 30,
      exits: new Map([
        ['cold', 20],
        ['budget', 10],
      ]),
      coldAt: new Map([
        [KERNEL + 0x20, 15],
        [KERNEL + 0x30, 5],
      ]),
      dropped: 1,
    },
  ],
  coldBlocks: [
    { address: KERNEL + 0x20, user: false, insns: 2, coldOnly: true, executions: 1000 },
    { address: 0x400100, user: true, insns: 10, coldOnly: false, executions: 300 },
  ],
  coldOnly: new Set([KERNEL + 0x20]),
  samples: [
    { stack: [KERNEL + 0x14, 0x400200], user: false, kind: 'hot', region: KERNEL + 0x10, ms: 50 },
    { stack: [KERNEL + 0x18, 0x400200], user: false, kind: 'hot', region: KERNEL + 0x10, ms: 10 },
    { stack: [0x400104], user: true, kind: 'helper rep_movs', region: undefined, ms: 40 },
  ],
};

describe('profile reports', () => {
  const report = profileReport(data, [symbols]);

  it('names addresses, orders by time, and says why a region was left', () => {
    expect(report.ms).toEqual({ hot: 60, helper: 40 });
    expect(report.regions.map((r) => [r.address, r.symbol, r.ms])).toEqual([
      ['0xffffffff81000010', 'do_work+0x10', 60],
      ['0x400000', undefined, 0],
    ]);
    expect(report.regions[0].coldAt.map((c) => [c.symbol, c.count, c.why])).toEqual([
      ['do_work+0x20', 15, 'script'],
      ['do_work+0x30', 5, 'check'],
    ]);
    expect(report.coldInstructions).toBe(5000);
    expect(report.coldBlocks.map((b) => b.address)).toEqual(['0x400100', '0xffffffff81000020']);
    expect(report.helpers.map((h) => h.name)).toEqual(['rep_movs', 'rdtsc']);
    // places of one function are one stack
    expect(report.stacks).toEqual([
      { frames: ['kernel', '0x400200', 'do_work', '[hot]'], ms: 60 },
      { frames: ['user', '0x400104', '[helper rep_movs]'], ms: 40 },
    ]);
  });

  it('is plain data', () => {
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('prints tables', () => {
    const lines = formatProfile(report).split('\n');
    expect(lines[0]).toBe('profile: 0.10 s in the processor, 5000k instructions (50.0 M/s), 3 interrupts');
    const cells = (first: string): string[] => lines.find((l) => l.startsWith(first))!.split(/ {2,}/);
    expect(cells('hot')).toEqual(['hot', '60', '60.0 %']);
    expect(cells('helper rep_movs')).toEqual(['helper rep_movs', '10', '16', '1600000']);
    expect(lines.some((l) => l.startsWith('slow store'))).toBe(false);
    expect(cells('region').slice(0, 7)).toEqual(['region', 'address', 'ms', 'entries', 'budget', 'cold', 'jump']);
    expect(cells('do_work+0x10')).toEqual(
      ['do_work+0x10', '0xffffffff81000010', '60', '30', '10', '20', '0', '5', '40', '2'].concat(
        'script at do_work+0x20',
      ),
    );
  });

  it('makes collapsed stacks in microseconds, and a speedscope file with the same weights', () => {
    expect(collapsedStacks(report)).toBe(
      'kernel;0x400200;do_work;[hot] 60000\nuser;0x400104;[helper rep_movs] 40000\n',
    );
    const file = speedscope(report, 'x') as {
      shared: { frames: { name: string }[] };
      profiles: { samples: number[][]; weights: number[]; endValue: number }[];
    };
    const [profile] = file.profiles;
    expect(profile.samples.map((s) => s.map((n) => file.shared.frames[n].name).join(';'))).toEqual([
      'kernel;0x400200;do_work;[hot]',
      'user;0x400104;[helper rep_movs]',
    ]);
    expect([profile.weights, profile.endValue]).toEqual([[60, 40], 100]);
  });

  it('writes numbers of 64-bit addresses as addresses', () => {
    expect([hexNumber(KERNEL), hexNumber(0x400000), hexNumber(-1)]).toEqual([
      '0xffffffff81000000',
      '0x400000',
      '0xffffffffffffffff',
    ]);
  });
});

describe('guest stack', () => {
  /** RAM at linear 0 to 64 KiB of a fake 32- or 64-bit processor. */
  const walk = (code64: boolean, frame: number, fill: (v: DataView) => void): readonly number[] => {
    const memory = { buffer: new ArrayBuffer(0x10000) };
    fill(new DataView(memory.buffer));
    const lookupPage = (page: number, info: { hostOffset: number }): number => {
      info.hostOffset = page * 4096;
      return page < 16 ? PAGE_RAM : PAGE_NONE;
    };
    const cpu = { code64, segBase: () => 0, reg: () => frame, regNumber: () => frame };
    const debugTranslate = (linear: number): number => (linear >= 0 && linear < 0x10000 ? linear : -1);
    return createStackWalker(
      () => ({ cpu: { ...cpu, debugTranslate }, tcg: { memory, space: { lookupPage } } }) as unknown as Board,
    )();
  };
  const call = (v: DataView, to: number): void => v.setUint8(to - 5, 0xe8);

  it('follows frame pointers while return addresses stand behind calls', () => {
    const fill = (v: DataView): void => {
      v.setUint32(0x8000, 0x8010, true);
      v.setUint32(0x8004, 0x1005, true);
      call(v, 0x1005);
      v.setUint32(0x8010, 0x8020, true);
      v.setUint32(0x8014, 0x2002, true);
      v.setUint16(0x2000, 0xd0ff, true); // call *%eax
      v.setUint32(0x8020, 0x8030, true);
      v.setUint32(0x8024, 0x3000, true); // no call there
    };
    expect(walk(false, 0x8000, fill)).toEqual([0x1005, 0x2002]);
  });

  it('believes no frame that goes down, no wild pointer, and ends', () => {
    const down = (v: DataView): void => {
      v.setUint32(0x8000, 0x7000, true);
      v.setUint32(0x8004, 0x1005, true);
      call(v, 0x1005);
    };
    expect(walk(false, 0x8000, down)).toEqual([0x1005]);
    expect(walk(false, 0xfffffffc, () => undefined)).toEqual([]);
    const wide = (v: DataView): void => {
      v.setBigUint64(0x8000, 0xffff_ffff_8100_0000n, true);
      v.setBigUint64(0x8008, 0x1005n, true);
      call(v, 0x1005);
    };
    expect(walk(true, 0x8000, wide)).toEqual([0x1005]);
    expect(walk(true, -0x1000, wide)).toEqual([]);
  });
});
