import { describe, expect, it } from 'vitest';
import { createGuestRam, loadKernel, planLinuxSetup, planBoot } from './index.ts';
import { videoMode } from './linux-boot.ts';
import { bzImage, pcMap, request, text } from './images.fixture.ts';

const MIB = 1 << 20;
const initrd = (size: number) => [{ bytes: new Uint8Array(size).fill(0xee), commandLine: '' }];

describe('Linux, 32-bit boot protocol', () => {
  it('enters the kernel at 1 MiB with boot_params in ESI and flat 0x10/0x18 segments', () => {
    const memory = new Uint8Array(64 * MIB);
    const plan = loadKernel(request(bzImage(), 64 * MIB, { commandLine: 'console=ttyS0' }), createGuestRam(memory));
    const { entry } = plan;
    expect(entry).toMatchObject({ mode: 'protected32', eip: MIB, eflags: 2, cr0: 0x11 });
    expect(entry.registers).toEqual({ eax: 0, ecx: 0, edx: 0, ebx: 0, esp: 0, ebp: 0, esi: 0x10000, edi: 0 });
    expect(entry.segments.cs).toEqual({ selector: 0x10, base: 0, limit: 0xffffffff, attributes: 0xc09b });
    expect(entry.segments.ss).toEqual({ selector: 0x18, base: 0, limit: 0xffffffff, attributes: 0xc093 });
    const v = new DataView(memory.buffer);
    expect([v.getUint32(entry.gdt.base + 0x10, true), v.getUint32(entry.gdt.base + 0x14, true)]).toEqual([
      0x0000ffff, 0x00cf9b00,
    ]);
    expect([v.getUint32(entry.gdt.base + 0x18, true), v.getUint32(entry.gdt.base + 0x1c, true)]).toEqual([
      0x0000ffff, 0x00cf9300,
    ]);
    expect(memory[MIB]).toBe(0xcc);
  });

  it('knows an amd64 kernel by its xloadflags, from protocol 2.12 on', () => {
    const image = bzImage();
    const needs = (version: number, flags: number): boolean | undefined => {
      const v = new DataView(image.buffer);
      v.setUint16(0x206, version, true);
      v.setUint16(0x236, flags, true);
      return planBoot(request(image)).needsLongMode;
    };
    expect([needs(0x20c, 1), needs(0x20f, 0x7f), needs(0x20b, 1), needs(0x20f, 2)]).toEqual([true, true, false, false]);
  });

  it('fills boot_params: header, loader type, heap flag, command line, e820, memory sizes, RSDP', () => {
    const memory = new Uint8Array(64 * MIB);
    loadKernel(request(bzImage(), 64 * MIB, { commandLine: 'quiet', acpiRsdp: 0xf0000 }), createGuestRam(memory));
    const page = new DataView(memory.buffer, 0x10000, 4096);
    expect(page.getUint32(0x202, true)).toBe(0x53726448);
    expect([page.getUint8(0x210), page.getUint8(0x211)]).toEqual([0xff, 0x81]);
    expect(text(memory, page.getUint32(0x228, true))).toBe('quiet');
    expect(page.getUint32(0x1e0, true)).toBe(63 * 1024);
    expect(page.getBigUint64(0x70, true)).toBe(0xf0000n);
    expect(page.getUint8(0x1e8)).toBe(4);
    const ranges = [0, 1, 2, 3].map((i) => [
      Number(page.getBigUint64(0x2d0 + i * 20, true)),
      Number(page.getBigUint64(0x2d8 + i * 20, true)),
      page.getUint32(0x2e0 + i * 20, true),
    ]);
    expect(ranges).toEqual(pcMap(64 * MIB).map((r) => [r.base, r.length, r.type]));
    // Nothing of the setup code but its header is copied.
    expect([page.getUint8(0x1f0), page.getUint32(0x26c + 8, true)]).toEqual([0, 0]);
  });

  it('puts the initrd as high as RAM and initrd_addr_max allow', () => {
    const place = (max: number, ram: number, size: number) =>
      planBoot(request(bzImage({ initrdAddrMax: max }), ram, { modules: initrd(size) })).segments.find(
        (s) => s.name === 'initrd',
      )!.address;
    expect(place(0x37ffffff, 64 * MIB, 10_000)).toBe(64 * MIB - 12288);
    expect(place(48 * MIB - 1, 64 * MIB, 4096)).toBe(48 * MIB - 4096);
    expect(place(0x37ffffff, 64 * MIB, 131072)).toBe(64 * MIB - 131072);
  });

  it('takes the documented defaults of old protocols', () => {
    const plan = planBoot(
      request(bzImage({ version: 0x202, cmdlineSize: 9999 }), 64 * MIB, { commandLine: 'x'.repeat(255) }),
    );
    expect(plan.protocol).toBe('linux');
    expect(() =>
      planBoot(request(bzImage({ version: 0x202, cmdlineSize: 9999 }), 64 * MIB, { commandLine: 'x'.repeat(256) })),
    ).toThrow('command line too long: 256 bytes, this kernel takes 255');
  });

  it('reads vga= for the kernel', () => {
    expect(['', 'vga=ask', 'a vga=0x317 b', 'vga=normal', 'xvga=5'].map(videoMode)).toEqual([
      undefined,
      0xfffd,
      0x317,
      0xffff,
      undefined,
    ]);
    expect(() => videoMode('vga=huge')).toThrow('vga=huge: not a video mode');
  });

  it.each([
    [
      'command line longer than cmdline_size',
      () => request(bzImage({ cmdlineSize: 10 }), 64 * MIB, { commandLine: '12345678901' }),
      'command-line-too-long',
      'command line too long: 11 bytes, this kernel takes 10',
    ],
    [
      'initrd larger than RAM',
      () => request(bzImage(), 64 * MIB, { modules: initrd(60 * MIB) }),
      'initrd-too-large',
      'initrd is too large, cannot support.(max: ',
    ],
    [
      'initrd over the running kernel',
      () => request(bzImage(), 32 * MIB, { modules: initrd(9 * MIB) }),
      'initrd-too-large',
      'initrd is too large',
    ],
    [
      'kernel that needs more RAM to unpack',
      () => request(bzImage(), 20 * MIB),
      'outside-ram',
      'kernel does not fit in RAM: it needs memory up to 0x1800000, RAM ends at 0x1400000',
    ],
    [
      'kernel larger than RAM',
      () => request(bzImage({ kernelBytes: 3 * MIB, initSize: 0, prefAddress: MIB }), 2 * MIB),
      'outside-ram',
      'kernel does not fit in RAM',
    ],
    [
      'truncated kernel',
      () => request(bzImage().subarray(0, -1)),
      'truncated',
      'Linux kernel is truncated: 6655 bytes, its header says 6656',
    ],
    ['truncated setup code', () => request(bzImage().subarray(0, 1500)), 'truncated', 'the setup code alone has 2560'],
    ['zImage', () => request(bzImage({ loadflags: 0 })), 'unsupported', 'is a zImage'],
    ['protocol before 2.00', () => request(bzImage({ version: 0x105 })), 'unsupported', 'boot protocol 1.5'],
    [
      'kernel_version past the setup code',
      () => request(bzImage({ kernelVersion: 0x900 })),
      'bad-header',
      'kernel_version offset 0x900',
    ],
    [
      'two initrds',
      () => request(bzImage(), 64 * MIB, { modules: [...initrd(1), ...initrd(1)] }),
      'too-many',
      'takes one initrd',
    ],
    [
      'too many memory ranges',
      () =>
        request(bzImage(), 64 * MIB, {
          memoryMap: [
            ...pcMap(64 * MIB),
            ...Array.from({ length: 130 }, () => ({ base: 2 ** 32, length: 1, type: 2 })),
          ],
        }),
      'too-many',
      '134 memory ranges',
    ],
    [
      'NUL in the command line',
      () => request(bzImage(), 64 * MIB, { commandLine: 'a\0b' }),
      'bad-header',
      'contains a NUL',
    ],
  ])('refuses: %s', (_, make, code, message) => {
    const error = (() => {
      try {
        planBoot(make());
      } catch (e) {
        return e as { code: string; message: string; kind: string };
      }
      return undefined;
    })();
    expect(error).toMatchObject({ kind: 'load', code });
    expect(error!.message).toContain(message);
  });
});

describe('Linux, setup code for a boot ROM', () => {
  it('enters the setup code at its segment + 0x20 with the header filled in', () => {
    const plan = planLinuxSetup(request(bzImage(), 64 * MIB, { commandLine: 'x', modules: initrd(5000) }));
    expect(plan.entry).toMatchObject({ mode: 'real16', eip: 0, cr0: 0x10 });
    expect(plan.entry.segments.cs).toEqual({ selector: 0x1020, base: 0x10200, limit: 0xffff, attributes: 0x9b });
    expect(plan.entry.segments.ds.selector).toBe(0x1000);
    const setup = plan.segments.find((s) => s.name === 'setup code')!;
    const v = new DataView(setup.bytes.buffer);
    expect([v.getUint32(0x228, true), v.getUint32(0x21c, true)]).toEqual([0x20000, 5000]);
    expect(setup.bytes.length).toBe(2560);
  });
  it('uses the old command line pointer before protocol 2.02', () => {
    const plan = planLinuxSetup(request(bzImage({ version: 0x201 }), 64 * MIB, { commandLine: 'x' }));
    const v = new DataView(plan.segments.find((s) => s.name === 'setup code')!.bytes.buffer);
    expect([v.getUint16(0x20, true), v.getUint16(0x22, true)]).toEqual([0xa33f, 0x10000 & 0xffff]);
  });
});
