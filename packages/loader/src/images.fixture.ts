/** Small kernels of each format, made field by field from the specifications, for the tests. */
import type { BootRequest, MemoryRange } from './index.ts';

const MIB = 1 << 20;

/** 640 KiB minus the EBDA, and RAM from 1 MiB up. */
export function pcMap(ramSize: number): MemoryRange[] {
  return [
    { base: 0, length: 0x9fc00, type: 1 },
    { base: 0x9fc00, length: 0x400, type: 2 },
    { base: 0xf0000, length: 0x10000, type: 2 },
    { base: MIB, length: ramSize - MIB, type: 1 },
  ];
}

export function request(bytes: Uint8Array, ramSize = 64 * MIB, rest: Partial<BootRequest> = {}): BootRequest {
  return { kernel: { name: 'kernel', bytes }, commandLine: '', memoryMap: pcMap(ramSize), ...rest };
}

export interface LinuxFields {
  version?: number;
  setupSectors?: number;
  kernelBytes?: number;
  loadflags?: number;
  cmdlineSize?: number;
  initrdAddrMax?: number;
  relocatable?: boolean;
  alignment?: number;
  prefAddress?: number;
  initSize?: number;
  kernelVersion?: number;
}

/** A bzImage: boot sector, setup sectors, `kernelBytes` of 0xcc. */
export function bzImage(f: LinuxFields = {}): Uint8Array {
  const setup = ((f.setupSectors ?? 4) + 1) * 512;
  const kernel = f.kernelBytes ?? 4096;
  const image = new Uint8Array(setup + kernel).fill(0xcc, setup);
  const v = new DataView(image.buffer);
  image[0x1f1] = f.setupSectors ?? 4;
  v.setUint32(0x1f4, Math.floor(kernel / 16), true);
  v.setUint16(0x1fa, 0xffff, true);
  v.setUint16(0x1fe, 0xaa55, true);
  image.set([0xeb, 0x6a], 0x200);
  v.setUint32(0x202, 0x53726448, true);
  v.setUint16(0x206, f.version ?? 0x20f, true);
  v.setUint16(0x20e, f.kernelVersion ?? 0, true);
  image[0x211] = f.loadflags ?? 1;
  v.setUint32(0x214, MIB, true);
  v.setUint32(0x22c, f.initrdAddrMax ?? 0x37ffffff, true);
  v.setUint32(0x230, f.alignment ?? 0x200000, true);
  image[0x234] = f.relocatable === false ? 0 : 1;
  v.setUint32(0x238, f.cmdlineSize ?? 2047, true);
  v.setBigUint64(0x258, BigInt(f.prefAddress ?? 16 * MIB), true);
  v.setUint32(0x260, f.initSize ?? 8 * MIB, true);
  return image;
}

export interface ProgramHeader {
  type?: number;
  virtual?: number;
  physical: number;
  data: Uint8Array;
  memorySize?: number;
  executable?: boolean;
}

/** An ELF32 (or ELF64) executable for i386 whose segments lie one after the other from 0x1000. */
export function elf(
  headers: readonly ProgramHeader[],
  o: { entry?: number; wide?: boolean; machine?: number } = {},
): Uint8Array {
  const wide = o.wide === true;
  const base = 0x1000;
  let size = base;
  const offsets = headers.map((h) => {
    const at = size;
    size += Math.ceil(h.data.length / 16) * 16;
    return at;
  });
  const image = new Uint8Array(size);
  const v = new DataView(image.buffer);
  const word = (at: number, n: number): void => (wide ? v.setBigUint64(at, BigInt(n), true) : v.setUint32(at, n, true));
  image.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  v.setUint16(16, 2, true);
  v.setUint16(18, o.machine ?? (wide ? 62 : 3), true);
  word(24, o.entry ?? headers[0]!.physical);
  const table = wide ? 64 : 52;
  word(wide ? 32 : 28, table);
  const step = wide ? 56 : 32;
  v.setUint16(wide ? 54 : 42, step, true);
  v.setUint16(wide ? 56 : 44, headers.length, true);
  headers.forEach((h, i) => {
    const at = table + i * step;
    const flags = h.executable === false ? 6 : 5;
    const values = [offsets[i]!, h.virtual ?? h.physical, h.physical, h.data.length, h.memorySize ?? h.data.length];
    v.setUint32(at, h.type ?? 1, true);
    v.setUint32(at + (wide ? 4 : 24), flags, true);
    values.forEach((n, k) => word(at + (wide ? 8 + k * 8 : 4 + k * 4), n));
    image.set(h.data, offsets[i]!);
  });
  return image;
}

/** A multiboot header; with `addresses` = header, load, load end, bss end, entry (flag bit 16). */
export function multibootHeader(flags: number, addresses?: readonly number[]): Uint8Array {
  const words = [0x1badb002, flags, (-0x1badb002 - flags) >>> 0, ...(addresses ?? [])];
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((w, i) => new DataView(bytes.buffer).setUint32(i * 4, w, true));
  return bytes;
}

/** The Xen note that names a PVH entry point. */
export function pvhNote(entry: number, size = 4): Uint8Array {
  const note = new Uint8Array(16 + size);
  const v = new DataView(note.buffer);
  v.setUint32(0, 4, true);
  v.setUint32(4, size, true);
  v.setUint32(8, 18, true);
  note.set([0x58, 0x65, 0x6e, 0], 12);
  v.setUint32(16, entry, true);
  return note;
}

export const text = (bytes: Uint8Array, at: number): string => {
  let s = '';
  for (let i = at; bytes[i] !== 0; i++) s += String.fromCharCode(bytes[i]!);
  return s;
};
