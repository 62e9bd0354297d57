/**
 * PVH: an ELF kernel (32 or 64 bit) with a Xen note that names a 32-bit physical entry point.
 *
 * Spec: Xen public headers, "x86/HVM direct boot ABI" (hvm_start_info version 1) and elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY.
 * EBX = hvm_start_info, flat 32-bit protected mode. The structures follow the modules, which follow the kernel.
 */
import { checkSegments, segment, type BootPlan, type BootRequest } from './boot-plan.ts';
import { isElf, parseElf, type Elf } from './elf.ts';
import { flatEntry, flatGdt } from './entry-state.ts';
import { MAX_COMMAND_LINE, MAX_MODULES } from './limits.ts';
import { LoadError } from './load-error.ts';
import { zeroTerminated } from './text.ts';

const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const START_MAGIC = 0x336e_c578;
const START_INFO_SIZE = 56;
const MODULE_SIZE = 32;
const MAP_SIZE = 24;
const CODE_SELECTOR = 0x08;

/** The PVH entry point of a parsed ELF file; undefined when it has no such note. */
export function pvhEntry(elf: Elf): number | undefined {
  const note = elf.notes.find((n) => n.name === 'Xen' && n.type === XEN_ELFNOTE_PHYS32_ENTRY);
  if (note === undefined) return undefined;
  const d = note.description;
  if (d.length !== 4 && d.length !== 8)
    throw new LoadError('bad-header', `PVH entry note has ${d.length} bytes, 4 or 8 expected`);
  const v = new DataView(d.buffer, d.byteOffset, d.byteLength);
  if (d.length === 8 && v.getUint32(4, true) !== 0)
    throw new LoadError('bad-header', 'PVH entry point lies above 4 GiB');
  return v.getUint32(0, true);
}

const alignUp = (n: number, a: number): number => Math.ceil(n / a) * a;

export function planPvh(request: BootRequest): BootPlan {
  const image = request.kernel.bytes;
  if (!isElf(image)) throw new LoadError('not-a-kernel', 'not an ELF file');
  const elf = parseElf(image);
  const entry = pvhEntry(elf);
  if (entry === undefined)
    throw new LoadError(
      'not-a-kernel',
      'Error loading uncompressed kernel without PVH ELF Note',
      'give the bzImage instead, or build with CONFIG_PVH=y',
    );
  const kernel = elf.segments.map((s, i) =>
    segment(`kernel segment ${i}`, s.physicalAddress, image.subarray(s.offset, s.offset + s.fileSize), s.memorySize),
  );
  if (!kernel.some((s) => entry >= s.address && entry < s.address + s.memorySize)) {
    throw new LoadError('bad-header', `PVH entry point 0x${entry.toString(16)} lies in no segment`);
  }
  checkSegments(kernel, request.memoryMap);
  const modules = request.modules ?? [];
  if (modules.length > MAX_MODULES)
    throw new LoadError('too-many', `${modules.length} modules, at most ${MAX_MODULES} are loaded`);
  let next = Math.max(0x10_0000, ...kernel.map((s) => s.address + s.memorySize));
  const segments = [...kernel];
  const placed = modules.map((m, i) => {
    next = alignUp(next, 4096);
    const s = segment(modules.length === 1 ? 'initrd' : `initrd module ${i}`, next, m.bytes);
    next += m.bytes.length;
    segments.push(s);
    return { segment: s, text: zeroTerminated(m.commandLine, `command line of module ${i}`) };
  });
  const base = alignUp(next, 4096);
  const text = zeroTerminated(request.commandLine, 'command line');
  if (text.length - 1 > MAX_COMMAND_LINE)
    throw new LoadError(
      'command-line-too-long',
      `command line too long: ${text.length - 1} bytes, at most ${MAX_COMMAND_LINE}`,
      'shorten -append',
    );
  const map = request.memoryMap;
  const gdt = flatGdt(CODE_SELECTOR);
  const gdtAt = START_INFO_SIZE;
  const modulesAt = gdtAt + gdt.length;
  const mapAt = modulesAt + placed.length * MODULE_SIZE;
  const textAt = mapAt + map.length * MAP_SIZE;
  const size = textAt + text.length + placed.reduce((n, m) => n + m.text.length, 0);
  const bytes = new Uint8Array(size);
  const v = new DataView(bytes.buffer);
  v.setUint32(0, START_MAGIC, true);
  v.setUint32(4, 1, true); // version 1: has the memory map
  v.setUint32(12, placed.length, true);
  v.setBigUint64(16, BigInt(placed.length === 0 ? 0 : base + modulesAt), true);
  v.setBigUint64(24, BigInt(base + textAt), true);
  v.setBigUint64(32, BigInt(request.acpiRsdp ?? 0), true);
  v.setBigUint64(40, BigInt(base + mapAt), true);
  v.setUint32(48, map.length, true);
  let textNext = textAt + text.length;
  placed.forEach((m, i) => {
    const at = modulesAt + i * MODULE_SIZE;
    v.setBigUint64(at, BigInt(m.segment.address), true);
    v.setBigUint64(at + 8, BigInt(m.segment.bytes.length), true);
    v.setBigUint64(at + 16, BigInt(base + textNext), true);
    bytes.set(m.text, textNext);
    textNext += m.text.length;
  });
  map.forEach((range, i) => {
    const at = mapAt + i * MAP_SIZE;
    v.setBigUint64(at, BigInt(range.base), true);
    v.setBigUint64(at + 8, BigInt(range.length), true);
    v.setUint32(at + 16, range.type, true);
  });
  bytes.set(gdt, gdtAt);
  bytes.set(text, textAt);
  segments.push(segment('PVH start information', base, bytes));
  checkSegments(segments, map);
  return {
    protocol: 'pvh',
    entry: flatEntry(entry, { ebx: base }, { base: base + gdtAt, limit: gdt.length - 1 }, CODE_SELECTOR),
    segments,
    warnings: [],
  };
}
