/**
 * Places a bzImage: kernel, initrd, command line, boot parameters; for both ways in.
 *
 * `planLinux` enters the kernel by the 32-bit boot protocol (no firmware needed): boot.rst "32-bit Boot Protocol" and
 * zero-page.rst. `planLinuxSetup` lays out the 16-bit setup code as a boot ROM over fw_cfg would: boot.rst "Memory Layout",
 * "Running the Kernel"; the setup code then needs a BIOS. Layout below 1 MiB: GDT 0x1000, boot_params or setup 0x10000,
 * command line 0x20000. Invariant: nothing but plan segments is written, all checked before.
 */
import { checkSegments, segment, type BootPlan, type BootRequest, type Segment } from './boot-plan.ts';
import { flatEntry, flatGdt, realEntry } from './entry-state.ts';
import { MAX_E820_ENTRIES } from './limits.ts';
import { CAN_USE_HEAP, parseLinuxHeader, SETUP_HEADER, type LinuxHeader } from './linux-header.ts';
import { LoadError } from './load-error.ts';
import { memoryKib, ramEndAt } from './memory-map.ts';
import { zeroTerminated } from './text.ts';

const GDT_ADDRESS = 0x1000;
const BOOT_PARAMS = 0x1_0000;
const COMMAND_LINE = 0x2_0000;
const MIB = 0x10_0000;
/** boot.rst: __BOOT_CS is 0x10 and __BOOT_DS 0x18. */
const BOOT_CS = 0x10;
/** boot.rst "type_of_loader": 0xFF for a loader without an assigned id. */
const LOADER_UNASSIGNED = 0xff;
/** zero-page.rst: the header may reach up to edd_mbr_sig_buffer. */
const HEADER_LIMIT = 0x290;

interface Placed {
  readonly header: LinuxHeader;
  readonly kernelAddress: number;
  readonly initrd: Segment | undefined;
  readonly commandLine: Segment;
  readonly segments: Segment[];
}

const hex = (n: number): string => `0x${n.toString(16)}`;

function place(request: BootRequest): Placed {
  const image = request.kernel.bytes;
  const header = parseLinuxHeader(image);
  const kernelAddress = header.code32Start === 0 ? MIB : header.code32Start;
  const kernel = segment('kernel', kernelAddress, image.subarray(header.setupSize));
  const text = zeroTerminated(request.commandLine, 'command line');
  if (text.length - 1 > header.cmdlineSize) {
    throw new LoadError(
      'command-line-too-long',
      `command line too long: ${text.length - 1} bytes, this kernel takes ${header.cmdlineSize}`,
      'shorten -append',
    );
  }
  const commandLine = segment('command line', COMMAND_LINE, text);
  const ramTop = Math.min(ramEndAt(request.memoryMap, MIB), 2 ** 32);
  // boot.rst "init_size": memory needed from the runtime start address before the kernel can read its memory map.
  const runtimeStart = runtimeAddress(header, kernelAddress);
  const runtimeEnd = Math.max(kernelAddress + kernel.memorySize, runtimeStart + header.initSize);
  if (runtimeEnd > ramTop) {
    throw new LoadError(
      'outside-ram',
      `kernel does not fit in RAM: it needs memory up to ${hex(runtimeEnd)}, RAM ends at ${hex(ramTop)}`,
      `give the guest more memory: -m ${Math.ceil(runtimeEnd / 2 ** 20) + 16}`,
    );
  }
  const modules = request.modules ?? [];
  if (modules.length > 1)
    throw new LoadError('too-many', `a Linux kernel takes one initrd, ${modules.length} were given`);
  const initrdBytes = modules[0]?.bytes;
  const initrd =
    initrdBytes === undefined || initrdBytes.length === 0
      ? undefined
      : placeInitrd(initrdBytes, header, ramTop, runtimeEnd);
  const segments = initrd === undefined ? [kernel, commandLine] : [kernel, commandLine, initrd];
  return { header, kernelAddress, initrd, commandLine, segments };
}

/** boot.rst "init_size" gives this formula. A relocatable kernel below its preferred address moves itself up to it. */
function runtimeAddress(header: LinuxHeader, loaded: number): number {
  if (!header.relocatable) return header.prefAddress;
  const align = header.kernelAlignment === 0 ? 1 : header.kernelAlignment;
  return Math.max(Math.ceil(loaded / align) * align, header.prefAddress);
}

/** As high as allowed: below `initrd_addr_max` (an inclusive bound) and below the end of RAM, on a page boundary. */
function placeInitrd(bytes: Uint8Array, header: LinuxHeader, ramTop: number, floor: number): Segment {
  const limit = Math.min(header.initrdAddrMax + 1, ramTop);
  const address = Math.floor((limit - bytes.length) / 4096) * 4096;
  if (address < floor) {
    const room = Math.max(0, Math.floor((limit - floor) / 4096) * 4096);
    throw new LoadError(
      'initrd-too-large',
      `initrd is too large, cannot support.(max: ${room}, need ${bytes.length})`,
      limit === ramTop
        ? `give the guest more memory: -m ${Math.ceil((floor + bytes.length) / 2 ** 20) + 32}`
        : undefined,
    );
  }
  return segment('initrd', address, bytes);
}

/** boot.rst "vid_mode": `vga=` on the command line belongs to the loader. undefined = leave the header's value. */
export function videoMode(commandLine: string): number | undefined {
  const word = /(?:^|\s)vga=(\S*)/.exec(commandLine)?.[1];
  if (word === undefined) return undefined;
  if (word === 'normal') return 0xffff;
  if (word === 'ext') return 0xfffe;
  if (word === 'ask') return 0xfffd;
  const n = Number(word);
  if (!Number.isInteger(n) || n < 0 || n > 0xffff)
    throw new LoadError('bad-header', `vga=${word}: not a video mode`, 'normal, ext, ask or a number');
  return n;
}

/** The fields that a loader writes are at the same offsets in the setup sectors and in boot_params. */
function fillHeader(page: DataView, placed: Placed, commandLine: string): void {
  const { header } = placed;
  page.setUint8(0x210, LOADER_UNASSIGNED);
  page.setUint32(0x214, placed.kernelAddress, true);
  page.setUint32(0x218, placed.initrd?.address ?? 0, true);
  page.setUint32(0x21c, placed.initrd?.bytes.length ?? 0, true);
  const mode = videoMode(commandLine);
  if (mode !== undefined) page.setUint16(0x1fa, mode, true);
  if (header.version >= 0x201) {
    page.setUint8(0x211, header.loadflags | CAN_USE_HEAP);
    // boot.rst "heap_end_ptr": end of the heap less 0x200, relative to the setup code.
    page.setUint16(0x224, COMMAND_LINE - BOOT_PARAMS - 0x200, true);
  }
  if (header.version >= 0x202) page.setUint32(0x228, placed.commandLine.address, true);
  else {
    // boot.rst, before 2.02: magic at 0x20 and an offset from the setup segment at 0x22.
    page.setUint16(0x20, 0xa33f, true);
    page.setUint16(0x22, COMMAND_LINE - BOOT_PARAMS, true);
  }
}

/** 32-bit boot protocol: the CPU starts at the protected-mode kernel with ESI = boot_params. */
export function planLinux(request: BootRequest): BootPlan {
  const placed = place(request);
  if (placed.header.version < 0x202) {
    throw new LoadError(
      'unsupported',
      `Linux boot protocol 2.0${placed.header.version & 0xff} has no 32-bit entry with a command line`,
      'boot it through firmware (-bios)',
    );
  }
  const bytes = new Uint8Array(4096);
  const page = new DataView(bytes.buffer);
  bytes.set(request.kernel.bytes.subarray(SETUP_HEADER, Math.min(placed.header.headerEnd, HEADER_LIMIT)), SETUP_HEADER);
  fillHeader(page, placed, request.commandLine);
  const { upper } = memoryKib(request.memoryMap);
  page.setUint16(0x02, Math.min(upper, 0xffff), true); // ext_mem_k, int 15h AH=88h
  page.setUint32(0x1e0, upper, true); // alt_mem_k, int 15h AX=E801h
  if (request.acpiRsdp !== undefined) page.setBigUint64(0x70, BigInt(request.acpiRsdp), true);
  const map = request.memoryMap;
  if (map.length > MAX_E820_ENTRIES)
    throw new LoadError('too-many', `${map.length} memory ranges, boot_params has room for ${MAX_E820_ENTRIES}`);
  page.setUint8(0x1e8, map.length);
  map.forEach((range, i) => {
    page.setBigUint64(0x2d0 + i * 20, BigInt(range.base), true);
    page.setBigUint64(0x2d8 + i * 20, BigInt(range.length), true);
    page.setUint32(0x2e0 + i * 20, range.type, true);
  });
  const gdt = flatGdt(BOOT_CS);
  const segments = [
    ...placed.segments,
    segment('boot parameters', BOOT_PARAMS, bytes),
    segment('GDT', GDT_ADDRESS, gdt),
  ];
  checkSegments(segments, map);
  const entry = flatEntry(
    placed.kernelAddress,
    { esi: BOOT_PARAMS },
    { base: GDT_ADDRESS, limit: gdt.length - 1 },
    BOOT_CS,
  );
  return { protocol: 'linux', entry, segments, warnings: [], needsLongMode: placed.header.kernel64 };
}

/** 16-bit boot protocol: setup code at 0x10000 with the header filled in, entered at its segment + 0x20. Needs BIOS services. */
export function planLinuxSetup(request: BootRequest): BootPlan {
  const placed = place(request);
  const setup = request.kernel.bytes.slice(0, placed.header.setupSize);
  if (BOOT_PARAMS + setup.length > COMMAND_LINE)
    throw new LoadError(
      'unsupported',
      `Linux setup code has ${setup.length} bytes, at most 64 KiB fit below the command line`,
    );
  fillHeader(new DataView(setup.buffer), placed, request.commandLine);
  const segments = [...placed.segments, segment('setup code', BOOT_PARAMS, setup)];
  checkSegments(segments, request.memoryMap);
  // boot.rst "Running the Kernel": DS=ES=FS=GS=SS = setup segment, jump to segment + 0x20, stack below the command line.
  const entry = realEntry((BOOT_PARAMS >> 4) + 0x20, 0, BOOT_PARAMS >> 4, COMMAND_LINE - BOOT_PARAMS - 16);
  return { protocol: 'linux', entry, segments, warnings: [] };
}
