/**
 * Multiboot 1: finds the header, places an ELF or address-field ("a.out kludge") kernel, modules and the information structure.
 *
 * Spec: The Multiboot Specification 0.6.96, §3.1 "OS image format", §3.2 "Machine state", §3.3 "Boot information format".
 * Not done: video modes (flags bit 2 is answered with a warning), drives, APM, symbol tables. Modules follow the kernel on
 * page boundaries, the information structure follows the modules.
 */
import { checkSegments, segment, type BootPlan, type BootRequest, type Segment } from './boot-plan.ts';
import { isElf, parseElf, physicalEntry, EM_X86_64 } from './elf.ts';
import { flatEntry, flatGdt } from './entry-state.ts';
import { MAX_COMMAND_LINE, MAX_MODULES, MULTIBOOT_SEARCH } from './limits.ts';
import { LoadError } from './load-error.ts';
import { memoryKib } from './memory-map.ts';
import { zeroTerminated } from './text.ts';

const HEADER_MAGIC = 0x1bad_b002;
const BOOTLOADER_MAGIC = 0x2bad_b002;
const FLAG_VIDEO = 1 << 2;
const FLAG_ADDRESSES = 1 << 16;
/** Bits 0-15 are requirements: a loader that does not know one must refuse (§3.1.2). Known: page align, memory, video. */
const KNOWN_REQUIREMENTS = 0x7;
const INFO_SIZE = 116;
const INFO_MEMORY = 1 << 0;
const INFO_CMDLINE = 1 << 2;
const INFO_MODS = 1 << 3;
const INFO_MMAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;
const CODE_SELECTOR = 0x08;
const hex = (n: number): string => `0x${n.toString(16)}`;

export interface MultibootHeader {
  /** Offset of the magic in the file. */
  readonly offset: number;
  readonly flags: number;
}

/** The first valid header in the first 8192 bytes, 4-byte aligned, checksum right; undefined when there is none. */
export function findMultibootHeader(image: Uint8Array): MultibootHeader | undefined {
  const v = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const end = Math.min(image.length, MULTIBOOT_SEARCH) - 12;
  for (let offset = 0; offset <= end; offset += 4) {
    if (v.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = v.getUint32(offset + 4, true);
    if (((HEADER_MAGIC + flags + v.getUint32(offset + 8, true)) & 0xffff_ffff) === 0) return { offset, flags };
  }
  return undefined;
}

interface KernelPlacement {
  readonly segments: readonly Segment[];
  readonly entry: number;
}

function placeByAddresses(image: Uint8Array, header: MultibootHeader): KernelPlacement {
  if (header.offset + 32 > image.length)
    throw new LoadError('truncated', 'multiboot header is truncated: address fields lie past the end of the file');
  const v = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((o) =>
    v.getUint32(header.offset + o, true),
  ) as [number, number, number, number, number];
  if (headerAddress < loadAddress)
    throw new LoadError(
      'bad-header',
      `invalid load_addr address: ${hex(loadAddress)} is above header_addr ${hex(headerAddress)}`,
    );
  const fileStart = header.offset - (headerAddress - loadAddress);
  if (fileStart < 0)
    throw new LoadError(
      'bad-header',
      `invalid header_addr address: ${hex(headerAddress)} puts the start before the file`,
    );
  let size = image.length - fileStart;
  if (loadEnd !== 0) {
    if (loadEnd < loadAddress)
      throw new LoadError(
        'bad-header',
        `invalid load_end_addr address: ${hex(loadEnd)} is below load_addr ${hex(loadAddress)}`,
      );
    size = loadEnd - loadAddress;
  }
  if (fileStart + size > image.length)
    throw new LoadError(
      'truncated',
      `multiboot kernel is truncated: ${image.length} bytes, its header says ${fileStart + size}`,
    );
  let memory = size;
  if (bssEnd !== 0) {
    if (bssEnd < loadAddress + size)
      throw new LoadError(
        'bad-header',
        `invalid bss_end_addr address: ${hex(bssEnd)} is below the end of the data ${hex(loadAddress + size)}`,
      );
    memory = bssEnd - loadAddress;
  }
  if (entry < loadAddress || entry >= loadAddress + memory)
    throw new LoadError('bad-header', `invalid entry_addr address: ${hex(entry)} lies outside the kernel`);
  return { segments: [segment('kernel', loadAddress, image.subarray(fileStart, fileStart + size), memory)], entry };
}

function placeElf(image: Uint8Array): KernelPlacement {
  if (!isElf(image))
    throw new LoadError('bad-header', 'multiboot kernel is no ELF file and has no address fields (flags bit 16)');
  const elf = parseElf(image);
  if (elf.bits === 64 || elf.machine === EM_X86_64)
    throw new LoadError('wrong-class', 'Cannot load x86-64 image, give a 32bit one.');
  const segments = elf.segments.map((s, i) =>
    segment(`kernel segment ${i}`, s.physicalAddress, image.subarray(s.offset, s.offset + s.fileSize), s.memorySize),
  );
  return { segments, entry: physicalEntry(elf) };
}

const alignUp = (n: number, a: number): number => Math.ceil(n / a) * a;

/** Places a multiboot kernel. EAX = 0x2BADB002, EBX = information structure, flat 32-bit protected mode (§3.2). */
export function planMultiboot(request: BootRequest): BootPlan {
  const image = request.kernel.bytes;
  const header = findMultibootHeader(image);
  if (header === undefined)
    throw new LoadError('not-a-kernel', 'not a multiboot kernel: no header in the first 8192 bytes');
  const unknown = header.flags & 0xffff & ~KNOWN_REQUIREMENTS;
  if (unknown !== 0)
    throw new LoadError(
      'unsupported',
      `multiboot header requires features that are not supported: flags ${hex(unknown)}`,
    );
  const warnings = (header.flags & FLAG_VIDEO) !== 0 ? ['multiboot kernel asks for a video mode; none is set'] : [];
  const kernel = (header.flags & FLAG_ADDRESSES) !== 0 ? placeByAddresses(image, header) : placeElf(image);
  const modules = request.modules ?? [];
  if (modules.length > MAX_MODULES)
    throw new LoadError('too-many', `${modules.length} modules, at most ${MAX_MODULES} are loaded`);
  // The kernel is checked alone first, so that its own message wins over one about what follows it.
  checkSegments(kernel.segments, request.memoryMap);
  const segments = [...kernel.segments];
  let next = Math.max(0x10_0000, ...kernel.segments.map((s) => s.address + s.memorySize));
  const placedModules = modules.map((module, i) => {
    next = alignUp(next, 4096);
    const placed = segment(modules.length === 1 ? 'initrd' : `initrd module ${i}`, next, module.bytes);
    next += module.bytes.length;
    segments.push(placed);
    return {
      start: placed.address,
      end: next,
      text: zeroTerminated(module.commandLine, `command line of module ${i}`),
    };
  });
  const information = buildInformation(alignUp(next, 4096), request, placedModules);
  segments.push(information.segment);
  checkSegments(segments, request.memoryMap);
  const entry = flatEntry(
    kernel.entry,
    { eax: BOOTLOADER_MAGIC, ebx: information.segment.address },
    information.gdt,
    CODE_SELECTOR,
  );
  return { protocol: 'multiboot', entry, segments, warnings };
}

interface ModuleSpan {
  readonly start: number;
  readonly end: number;
  readonly text: Uint8Array;
}

/** §3.3: the fixed structure, then module list, memory map, GDT and strings in one segment at `base`. */
function buildInformation(
  base: number,
  request: BootRequest,
  modules: readonly ModuleSpan[],
): { segment: Segment; gdt: { base: number; limit: number } } {
  const line = request.commandLine === '' ? request.kernel.name : `${request.kernel.name} ${request.commandLine}`;
  const text = zeroTerminated(line, 'command line');
  if (text.length - 1 > MAX_COMMAND_LINE)
    throw new LoadError(
      'command-line-too-long',
      `command line too long: ${text.length - 1} bytes, at most ${MAX_COMMAND_LINE}`,
      'shorten -append',
    );
  const name = zeroTerminated('emkit', 'boot loader name');
  const gdt = flatGdt(CODE_SELECTOR);
  const map = request.memoryMap;
  const gdtAt = alignUp(INFO_SIZE, 8);
  const modsAt = gdtAt + gdt.length;
  const mapAt = modsAt + modules.length * 16;
  const textAt = mapAt + map.length * 24;
  const nameAt = textAt + text.length;
  const moduleTextAt: number[] = [];
  let size = nameAt + name.length;
  for (const m of modules) {
    moduleTextAt.push(size);
    size += m.text.length;
  }
  const bytes = new Uint8Array(size);
  const v = new DataView(bytes.buffer);
  const { lower, upper } = memoryKib(map);
  v.setUint32(0, INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER_NAME, true);
  v.setUint32(4, lower, true);
  v.setUint32(8, upper, true);
  v.setUint32(16, base + textAt, true);
  v.setUint32(20, modules.length, true);
  v.setUint32(24, base + modsAt, true);
  v.setUint32(44, map.length * 24, true);
  v.setUint32(48, base + mapAt, true);
  v.setUint32(64, base + nameAt, true);
  modules.forEach((m, i) => {
    v.setUint32(modsAt + i * 16, m.start, true);
    v.setUint32(modsAt + i * 16 + 4, m.end, true);
    v.setUint32(modsAt + i * 16 + 8, base + moduleTextAt[i]!, true);
    bytes.set(m.text, moduleTextAt[i]!);
  });
  map.forEach((range, i) => {
    v.setUint32(mapAt + i * 24, 20, true); // "size" does not count itself
    v.setBigUint64(mapAt + i * 24 + 4, BigInt(range.base), true);
    v.setBigUint64(mapAt + i * 24 + 12, BigInt(range.length), true);
    v.setUint32(mapAt + i * 24 + 20, range.type, true);
  });
  bytes.set(gdt, gdtAt);
  bytes.set(text, textAt);
  bytes.set(name, nameAt);
  return { segment: segment('multiboot information', base, bytes), gdt: { base: base + gdtAt, limit: gdt.length - 1 } };
}
