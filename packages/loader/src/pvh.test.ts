import { describe, expect, it } from 'vitest';
import { createGuestRam, loadKernel, planBoot, probeKernel } from './index.ts';
import { elf, pcMap, pvhNote, request, text } from './images.fixture.ts';

const MIB = 1 << 20;
const PT_NOTE = 4;
const vmlinux = (wide: boolean, note = pvhNote(16 * MIB + 0x40, wide ? 8 : 4)) =>
  elf(
    [
      { physical: 16 * MIB, virtual: 0xc1000000, data: new Uint8Array(0x200).fill(0x90), memorySize: 0x4000 },
      { type: PT_NOTE, physical: 0, data: note },
    ],
    { wide, entry: 16 * MIB },
  );

describe('PVH', () => {
  it.each([false, true])('enters at the note with hvm_start_info in EBX (64-bit file: %s)', (wide) => {
    const memory = new Uint8Array(32 * MIB);
    const modules = [{ bytes: Uint8Array.of(9, 8, 7), commandLine: 'initrd' }];
    const plan = loadKernel(
      request(vmlinux(wide), 32 * MIB, { commandLine: 'root=/dev/ram', modules, acpiRsdp: 0xf0000 }),
      createGuestRam(memory),
    );
    expect(plan).toMatchObject({ protocol: 'pvh', entry: { mode: 'protected32', eip: 16 * MIB + 0x40, cr0: 0x11 } });
    const v = new DataView(memory.buffer);
    const info = plan.entry.registers.ebx;
    const u64 = (at: number) => Number(v.getBigUint64(at, true));
    expect([v.getUint32(info, true), v.getUint32(info + 4, true), v.getUint32(info + 12, true)]).toEqual([
      0x336ec578, 1, 1,
    ]);
    expect(text(memory, u64(info + 24))).toBe('root=/dev/ram');
    expect(u64(info + 32)).toBe(0xf0000);
    const module = u64(info + 16);
    expect([memory[u64(module)], u64(module + 8), text(memory, u64(module + 16))]).toEqual([9, 3, 'initrd']);
    const map = u64(info + 40);
    const ranges = pcMap(32 * MIB).map((_, i) => ({
      base: u64(map + i * 24),
      length: u64(map + i * 24 + 8),
      type: v.getUint32(map + i * 24 + 16, true),
    }));
    expect(ranges).toEqual(pcMap(32 * MIB));
    expect(v.getUint32(info + 48, true)).toBe(4);
  });
  it.each([
    [
      'an ELF without the note',
      elf([{ physical: MIB, data: Uint8Array.of(1) }]),
      'Error loading uncompressed kernel without PVH ELF Note',
    ],
    ['an entry outside all segments', vmlinux(false, pvhNote(0x500)), 'PVH entry point 0x500 lies in no segment'],
    ['a note of odd size', vmlinux(false, pvhNote(MIB, 5)), 'PVH entry note has 5 bytes'],
    ['a truncated file', vmlinux(false).subarray(0, 0x1100), 'ELF file is truncated: program header 0 reaches to'],
    ['only a header', vmlinux(false).subarray(0, 40), 'ELF file is truncated: 40 bytes, the header has 52'],
    [
      'no program headers',
      (() => {
        const e = vmlinux(false).slice();
        e[44] = 0;
        return e;
      })(),
      'has no program headers',
    ],
    [
      'a big-endian file',
      (() => {
        const e = vmlinux(false).slice();
        e[5] = 2;
        return e;
      })(),
      'big-endian ELF',
    ],
    ['an empty file', new Uint8Array(0), 'the kernel file is empty'],
    ['a text file', Uint8Array.from('#!/bin/sh\n', (c) => c.charCodeAt(0)), 'invalid kernel header'],
  ])('refuses: %s', (_, image, message) => {
    expect(() => planBoot(request(image, 32 * MIB))).toThrow(message);
  });
  it('is recognised by its note', () => {
    expect([probeKernel(vmlinux(true)), probeKernel(elf([{ physical: MIB, data: Uint8Array.of(1) }]))]).toEqual([
      'pvh',
      undefined,
    ]);
  });
});
