import { describe, expect, it } from 'vitest';
import { createGuestRam, findMultibootHeader, loadKernel, planBoot, probeKernel } from './index.ts';
import { elf, multibootHeader, pcMap, request, text } from './images.fixture.ts';

const MIB = 1 << 20;

/** A flat kernel of `size` bytes at 1 MiB with its header at offset 16. */
function flat(
  size: number,
  change: Partial<Record<'header' | 'load' | 'loadEnd' | 'bssEnd' | 'entry', number>> = {},
  flags = 0x10003,
): Uint8Array {
  const image = new Uint8Array(size).fill(0x90);
  const a = {
    header: MIB + 16,
    load: MIB,
    loadEnd: MIB + size,
    bssEnd: MIB + size + 0x1000,
    entry: MIB + 0x40,
    ...change,
  };
  image.set(multibootHeader(flags, [a.header, a.load, a.loadEnd, a.bssEnd, a.entry]), 16);
  return image;
}

describe('multiboot', () => {
  it('finds a header only where the specification allows one', () => {
    const image = new Uint8Array(9000);
    image.set(multibootHeader(0), 2); // not aligned
    expect(findMultibootHeader(image)).toBeUndefined();
    image.set(multibootHeader(0), 8184); // does not fit into 8192
    expect(findMultibootHeader(image)).toBeUndefined();
    image.set(multibootHeader(3), 8180);
    expect(findMultibootHeader(image)).toEqual({ offset: 8180, flags: 3 });
  });

  it('loads by address fields, zeroes the bss, hands over magic and information', () => {
    const memory = new Uint8Array(16 * MIB).fill(0xaa);
    const plan = loadKernel(
      request(flat(0x2000), 16 * MIB, {
        commandLine: 'a b',
        modules: [
          { bytes: Uint8Array.of(1, 2, 3), commandLine: 'mod1 x' },
          { bytes: Uint8Array.of(4), commandLine: 'mod2' },
        ],
      }),
      createGuestRam(memory),
    );
    expect(plan).toMatchObject({ protocol: 'multiboot', warnings: [] });
    expect(plan.entry).toMatchObject({ mode: 'protected32', eip: MIB + 0x40, cr0: 0x11 });
    expect(plan.entry.registers.eax).toBe(0x2badb002);
    expect([memory[MIB + 0x1fff], memory[MIB + 0x2000], memory[MIB + 0x2fff], memory[MIB + 0x3003]]).toEqual([
      0x90, 0, 0, 0xaa,
    ]);
    const info = plan.entry.registers.ebx;
    const v = new DataView(memory.buffer);
    const u32 = (at: number) => v.getUint32(at, true);
    expect(u32(info) & 0x24f).toBe(0x24d);
    expect([u32(info + 4), u32(info + 8)]).toEqual([639, 15 * 1024]);
    expect(text(memory, u32(info + 16))).toBe('kernel a b');
    expect(text(memory, u32(info + 64))).toBe('emkit');
    const mods = u32(info + 24);
    expect(u32(info + 20)).toBe(2);
    expect([u32(mods) % 4096, u32(mods + 4) - u32(mods), memory[u32(mods) + 2]]).toEqual([0, 3, 3]);
    expect([u32(mods + 16) % 4096, memory[u32(mods + 16)]]).toEqual([0, 4]);
    expect([text(memory, u32(mods + 8)), text(memory, u32(mods + 24))]).toEqual(['mod1 x', 'mod2']);
    let at = u32(info + 48);
    const ranges = [];
    for (const end = at + u32(info + 44); at < end; at += u32(at) + 4)
      ranges.push({
        base: Number(v.getBigUint64(at + 4, true)),
        length: Number(v.getBigUint64(at + 12, true)),
        type: u32(at + 20),
      });
    expect(ranges).toEqual(pcMap(16 * MIB));
  });

  it('loads ELF segments by physical address and translates a virtual entry point', () => {
    const code = new Uint8Array(0x100).fill(0x90);
    code.set(multibootHeader(3));
    const image = elf(
      [
        { physical: MIB, virtual: 0xc0100000, data: code, memorySize: 0x800 },
        { physical: 2 * MIB, virtual: 0xc0200000, data: Uint8Array.of(7), executable: false },
      ],
      { entry: 0xc0100020 },
    );
    const plan = planBoot(request(image, 16 * MIB));
    expect(plan.entry.eip).toBe(MIB + 0x20);
    expect(plan.segments.slice(0, 2).map((s) => [s.address, s.bytes.length, s.memorySize])).toEqual([
      [MIB, 0x100, 0x800],
      [2 * MIB, 1, 1],
    ]);
  });

  it('warns about a wished video mode and goes on', () => {
    expect(planBoot(request(flat(0x100, {}, 0x10004), 16 * MIB)).warnings).toEqual([
      'multiboot kernel asks for a video mode; none is set',
    ]);
  });

  const elfWith = (h: Parameters<typeof elf>[0], o: Parameters<typeof elf>[1] = {}) => {
    const first = new Uint8Array(0x100);
    first.set(multibootHeader(0));
    return elf([{ ...h[0]!, data: first }, ...h.slice(1)], o);
  };
  it.each([
    [
      'a required feature nobody knows',
      flat(0x100, {}, 0x10008),
      'unsupported',
      'requires features that are not supported: flags 0x8',
    ],
    ['load_addr above header_addr', flat(0x100, { load: MIB + 32 }), 'bad-header', 'invalid load_addr address'],
    ['header_addr before the file', flat(0x100, { header: MIB + 64 }), 'bad-header', 'invalid header_addr address'],
    ['load_end_addr below load_addr', flat(0x100, { loadEnd: MIB - 1 }), 'bad-header', 'invalid load_end_addr address'],
    [
      'load_end_addr past the file',
      flat(0x100, { loadEnd: MIB + 0x101 }),
      'truncated',
      'is truncated: 256 bytes, its header says 257',
    ],
    ['bss_end_addr below the data', flat(0x100, { bssEnd: MIB + 8 }), 'bad-header', 'invalid bss_end_addr address'],
    ['bss beyond RAM', flat(0x100, { bssEnd: 0xfffffff0 }), 'outside-ram', 'does not fit in RAM'],
    ['entry outside', flat(0x100, { entry: 0x10 }), 'bad-header', 'invalid entry_addr address'],
    [
      'kernel in the VGA window',
      flat(0x100, { header: 0xa0010, load: 0xa0000, loadEnd: 0xa0100, bssEnd: 0, entry: 0xa0000 }),
      'outside-ram',
      'does not fit in RAM',
    ],
    [
      'a 64-bit ELF',
      elfWith([{ physical: MIB, data: new Uint8Array(1) }], { wide: true }),
      'wrong-class',
      'Cannot load x86-64 image, give a 32bit one.',
    ],
    [
      'an ELF for another machine',
      elfWith([{ physical: MIB, data: new Uint8Array(1) }], { machine: 40 }),
      'wrong-machine',
      'e_machine 40',
    ],
    [
      'overlapping segments',
      elfWith([
        { physical: MIB, data: new Uint8Array(1), memorySize: 0x1000 },
        { physical: MIB + 0xfff, data: Uint8Array.of(1) },
      ]),
      'overlap',
      'kernel segment 1 at 0x100fff overlaps kernel segment 0',
    ],
    [
      'a segment that wraps',
      elfWith([{ physical: 0xfffff000, data: new Uint8Array(1), memorySize: 0x2000 }]),
      'wraps',
      'wraps past 4 GiB',
    ],
    ['no ELF and no addresses', multibootHeader(0), 'bad-header', 'is no ELF file and has no address fields'],
  ])('refuses: %s', (_, image, code, message) => {
    let error: { code?: string; message?: string } = {};
    try {
      planBoot(request(image, 16 * MIB));
    } catch (e) {
      error = e as Error & { code: string };
    }
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  it('refuses modules that do not fit, and too many of them', () => {
    const big = { bytes: new Uint8Array(15 * MIB), commandLine: '' };
    expect(() => planBoot(request(flat(0x100), 16 * MIB, { modules: [big] }))).toThrow('initrd does not fit in RAM');
    const many = Array.from({ length: 65 }, () => ({ bytes: Uint8Array.of(1), commandLine: '' }));
    expect(() => planBoot(request(flat(0x100), 16 * MIB, { modules: many }))).toThrow('65 modules, at most 64');
    expect(() => planBoot(request(flat(0x100), 16 * MIB, { commandLine: 'x'.repeat(5000) }))).toThrow(
      'command line too long',
    );
  });

  it('is recognised before ELF', () => {
    expect(probeKernel(flat(0x100))).toBe('multiboot');
    expect(probeKernel(Uint8Array.of(1, 2, 3))).toBeUndefined();
  });
});
