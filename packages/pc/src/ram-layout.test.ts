import { demoGuest } from '@emkit/demo-guest';
import { describe, expect, it } from 'vitest';
import { createPc } from './create-pc.ts';
import type { PcOptions } from './options.ts';
import { e820File, guestMemoryMap, MAX_MEMORY, ramLayout } from './ram-layout.ts';

const MIB = 2 ** 20;
const GIB = 1024 * MIB;
const sizes = (memorySize: number, maxRamBelow4g?: number): number[] => {
  const { below4g, above4g, pciHole } = ramLayout({ memorySize, maxRamBelow4g });
  return [below4g / MIB, above4g / MIB, pciHole / MIB];
};

describe('the split around the PCI hole', () => {
  // as QEMU 7.2's pc shows in the guest's e820 map for the same options
  it('is at 3 GiB once RAM reaches 3.5 GiB', () => {
    expect(sizes(128 * MIB)).toEqual([128, 0, 3072]);
    expect(sizes(3 * GIB)).toEqual([3072, 0, 3072]);
    expect(sizes(3583 * MIB)).toEqual([3583, 0, 3584]);
    expect(sizes(3584 * MIB)).toEqual([3072, 512, 3072]);
    expect(sizes(3900 * MIB)).toEqual([3072, 828, 3072]);
  });
  it('is where max-ram-below-4g says', () => {
    expect(sizes(3 * GIB, 2 * GIB)).toEqual([2048, 1024, 2048]);
    expect(sizes(2 * GIB, 2 * GIB)).toEqual([2048, 0, 2048]);
    expect(sizes(256 * MIB, 128 * MIB)).toEqual([128, 128, 2048]);
    expect(sizes(MAX_MEMORY, 4 * GIB)).toEqual([3952, 0, 3968]);
    expect(sizes(3700 * MIB, 4 * GIB)).toEqual([3700, 0, 3840]);
  });
  it('is told when it costs the guest', () => {
    const told: string[] = [];
    ramLayout({ memorySize: 512 * MIB, maxRamBelow4g: 256 * MIB, warn: (text) => told.push(text) });
    ramLayout({ memorySize: 3 * GIB, maxRamBelow4g: 2 * GIB, warn: (text) => told.push(text) });
    expect(told).toEqual([expect.stringContaining('max-ram-below-4g=256M is not a multiple of 1G')]);
  });
  it('refuses what does not fit, naming what does', () => {
    const hint = (memorySize: number, maxRamBelow4g?: number): string => {
      try {
        ramLayout({ memorySize, maxRamBelow4g });
      } catch (error) {
        return `${(error as Error).message}; ${(error as { hint?: string }).hint}`;
      }
      return 'accepted';
    };
    expect(hint(MAX_MEMORY)).toBe('accepted');
    expect(hint(MAX_MEMORY + 4096)).toMatch(/at most 3952 MiB RAM .*use -m 3952 or less/);
    expect(hint(GIB, 4 * GIB + 4096)).toContain('less than or equal to 4G');
    expect(hint(GIB, 4096)).toContain('max-ram-below-4g=2G');
    expect(hint(GIB, GIB + 1)).toContain('max-ram-below-4g=2G');
  });
});

const guestOf = (cpu: string, more: Partial<PcOptions> = {}): PcOptions => ({
  memorySize: 16 * MIB,
  maxRamBelow4g: 8 * MIB,
  cpu,
  noReboot: true,
  kernel: { name: 'demo', bytes: demoGuest() },
  startPaused: true,
  ...more,
});

describe('what the guest is told', () => {
  it('agrees in e820, fw_cfg and CMOS', async () => {
    const { board } = await createPc(guestOf('qemu64'));
    const { layout, cpu, machine } = board;
    const map = guestMemoryMap(layout, cpu);
    expect(map.filter((r) => r.type === 1)).toEqual([
      { base: 0, length: 0x9fc00, type: 1 },
      { base: MIB, length: 7 * MIB, type: 1 },
      { base: 2 ** 32, length: 8 * MIB, type: 1 },
    ]);
    expect(map.at(-1)).toEqual({ base: 0xfd_0000_0000, length: 0x3_0000_0000, type: 2 });
    const file = e820File(layout, cpu);
    const view = new DataView(file.buffer);
    const entries = Array.from({ length: file.length / 20 }, (_, n) => [
      Number(view.getBigUint64(n * 20, true)),
      Number(view.getBigUint64(n * 20 + 8, true)),
      view.getUint32(n * 20 + 16, true),
    ]);
    expect(entries).toEqual([
      [0, 8 * MIB, 1],
      [2 ** 32, 8 * MIB, 1],
      [0xfd_0000_0000, 0x3_0000_0000, 2],
    ]);
    const cmos = (index: number): number => {
      machine.portSpace.write8(0x70, index);
      return machine.portSpace.read8(0x71);
    };
    expect(cmos(0x30) | (cmos(0x31) << 8)).toBe(7 * 1024); // KiB from 1 MiB
    expect(cmos(0x5b) | (cmos(0x5c) << 8) | (cmos(0x5d) << 16)).toBe((8 * MIB) / 65536);
  });
  it('reserves nothing for HyperTransport on an Intel processor', async () => {
    const { board } = await createPc(guestOf('Nehalem'));
    expect(guestMemoryMap(board.layout, board.cpu).at(-1)!.base).toBe(2 ** 32);
  });
  it('refuses a processor whose addresses end at 4 GiB', async () => {
    await expect(createPc(guestOf('486'))).rejects.toThrow(
      'Address space limit 0xffffffff < 0x1007fffff phys-bits too low (32)',
    );
    await createPc(guestOf('486', { maxRamBelow4g: undefined }));
  });
});

const BASE = 0x10_0000;
const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const store = (at: number, value: number): number[] => [0xc7, 0x05, ...u32(at), ...u32(value)];
/** A multiboot kernel, entered in flat 32-bit protected mode. */
function kernel(code: readonly number[]): { name: string; bytes: Uint8Array } {
  const bytes = new Uint8Array(32 + code.length);
  const words = [0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, 0, 0, BASE + 32];
  words.forEach((w, n) => new DataView(bytes.buffer).setInt32(n * 4, w | 0, true));
  bytes.set(code, 32);
  return { name: 'guest', bytes };
}
/** CR3 = 0x200000, CR4 gets the bits, paging on; then store, read back, and leave with the byte read. */
const program = (tables: readonly number[], cr4: number, at: number): number[] => [
  ...tables,
  ...[0xb8, ...u32(0x20_0000), 0x0f, 0x22, 0xd8],
  ...[0x0f, 0x20, 0xe0, 0x0c, cr4, 0x0f, 0x22, 0xe0],
  ...[0x0f, 0x20, 0xc0, 0x0d, ...u32(0x8000_0000), 0x0f, 0x22, 0xc0],
  ...store(at, 0x1234_5678),
  ...[0xa0, ...u32(at), 0x66, 0xba, 0x01, 0x05, 0xee],
];
const EXIT_DEVICE = {
  driver: 'isa-debug-exit',
  properties: new Map([['iobase', '0x501']]),
  typed: '-device isa-debug-exit,iobase=0x501',
};

describe('RAM above 4 GiB', () => {
  it.each([
    ['PSE-36', [...store(0x20_0000, 0x83), ...store(0x20_0004, 0x2083)], 0x10, 0x40_0010],
    [
      'PAE',
      [
        ...[...store(0x20_0000, 0x20_1001), ...store(0x20_0004, 0)],
        ...[...store(0x20_1000, 0x83), ...store(0x20_1004, 0)],
        ...[...store(0x20_1008, 0x83), ...store(0x20_100c, 1)],
      ],
      0x20,
      0x20_0010,
    ],
  ] as const)('is reached by a 32-bit guest through %s, and by DMA', async (_, tables, cr4, at) => {
    const pc = await createPc(
      guestOf('pentium3', { kernel: kernel(program(tables, cr4, at)), devices: [EXIT_DEVICE], startPaused: false }),
    );
    expect(await pc.run()).toEqual({ kind: 'debug-exit', code: 0x78 * 2 + 1 });
    const { tcg, layout, machine } = pc.board;
    expect(new DataView(tcg.memory.buffer).getUint32(tcg.ramBase + layout.below4g + 16, true)).toBe(0x1234_5678);
    const bytes = new Uint8Array(4);
    machine.memorySpace.dmaRead(2 ** 32 + 16, bytes);
    expect([...bytes]).toEqual([0x78, 0x56, 0x34, 0x12]);
    machine.memorySpace.dmaWrite(2 ** 32 + 8 * MIB - 4, bytes);
    expect(new DataView(tcg.memory.buffer).getUint32(tcg.ramBase + 16 * MIB - 4, true)).toBe(0x1234_5678);
  });
});

describe('RAM above 2 GiB', () => {
  const HIGH = 0xb000_0000;
  const MODIFIED = HIGH + 0x1_0000;
  const call = [0xba, ...u32(MODIFIED), 0xff, 0xd2]; // mov edx, MODIFIED; call edx
  const body = [
    ...[0xbf, ...u32(HIGH), 0xb8, ...u32(0x1234_5678), 0xb9, ...u32(0x1000), 0xf3, 0xab], // rep stosd
    ...[0xbc, ...u32(HIGH + 0x8000), 0x50, 0x5b], // push eax; pop ebx
    ...[0x39, 0x1d, ...u32(HIGH + 0x3ffc), 0x74, 0x02, 0x0f, 0x0b], // cmp [last], ebx; je over; ud2
    ...store(MODIFIED, 0xc390_01b0), // mov al, 1; nop; ret
    ...call,
    ...[0xc6, 0x05, ...u32(MODIFIED + 1), 0x2a], // now: mov al, 42
    ...call,
  ];
  it.each(['cold', 'hot'] as const)('is filled, pushed to, and run and rewritten, tier %s', async (tier) => {
    const loop = [
      0xbd,
      ...u32(50),
      ...body,
      0x4d,
      0x0f,
      0x85,
      ...u32(-(body.length + 7)),
      ...[0x66, 0xba, 0x01, 0x05, 0xee],
    ];
    const pc = await createPc(
      guestOf('pentium3', {
        memorySize: 3 * GIB,
        maxRamBelow4g: undefined,
        kernel: kernel(loop),
        devices: [EXIT_DEVICE],
        startPaused: false,
        tier,
      }),
    );
    expect(await pc.run()).toEqual({ kind: 'debug-exit', code: 42 * 2 + 1 });
  });
});
