/**
 * Where guest RAM lies in the physical address space: from 0 up to the PCI hole, the rest from 4 GiB up. The split is that of
 * QEMU 7.2's machine type pc, so that a guest finds the same memory map: all below 4 GiB while RAM is smaller than the limit
 * (3.5 GiB, or max-ram-below-4g); else at most 3 GiB stay below.
 * Not here: what tells the guest (e820: @emkit/firmware-tables; cmos.ts, memory-types.ts, fw_cfg in board.ts).
 */
import { MAX_RAM_BYTES } from '@emkit/accel-tcg';
import { buildMemoryMap, E820_RAM, HYPER_TRANSPORT } from '@emkit/firmware-tables';
import type { MemoryRange } from '@emkit/loader';
import { MemoryRegion } from '@emkit/memory';
import type { X86Cpu } from '@emkit/x86';
import { MAX_BIOS, MIN_MEMORY, PcError } from './options.ts';
import type { PcOptions } from './options.ts';

const MIB = 2 ** 20;
const GIB = 1024 * MIB;
const DEFAULT_LIMIT = 3.5 * GIB;
/** What is left below 4 GiB when RAM has to be split. */
const SPLIT = 3 * GIB;
/** Firmware lies in the same WebAssembly memory. All of it fits below 4 GiB: firmware, APICs and the smallest PCI window need the last 128 MiB there. */
export const MAX_MEMORY = MAX_RAM_BYTES - MAX_BIOS;

export interface RamLayout {
  /** Bytes from physical 0. */
  readonly below4g: number;
  /** Bytes from 4 GiB. */
  readonly above4g: number;
  /** First address of the 32-bit PCI window: a power of two below 4 GiB, so that one MTRR describes it. */
  readonly pciHole: number;
}

/** Throws PcError for a size or a limit that a PC cannot have. */
export function ramLayout(options: Pick<PcOptions, 'memorySize' | 'maxRamBelow4g' | 'warn'>): RamLayout {
  const { memorySize, maxRamBelow4g } = options;
  checkSize(memorySize);
  const limit = maxRamBelow4g ?? DEFAULT_LIMIT;
  if (!Number.isSafeInteger(limit) || limit < MIN_MEMORY || limit % 4096 !== 0)
    throw new PcError(
      `max-ram-below-4g=${limit} is not a multiple of 4 KiB from 1 MiB up`,
      'for example -machine pc,max-ram-below-4g=2G',
    );
  if (limit > 4 * GIB)
    throw new PcError(
      `Machine option 'max-ram-below-4g=${limit}' expects size less than or equal to 4G`,
      'for example -machine pc,max-ram-below-4g=2G',
    );
  let below4g = memorySize;
  if (memorySize >= limit) {
    below4g = Math.min(limit, SPLIT);
    if (below4g % GIB !== 0)
      options.warn?.(
        `max-ram-below-4g=${limit / MIB}M is not a multiple of 1G: the guest needs more page tables for its memory`,
      );
  }
  let hole = limit <= 2 * GIB ? 2 * GIB : GIB;
  while (4 * GIB - hole < below4g) hole /= 2;
  return { below4g, above4g: memorySize - below4g, pciHole: 4 * GIB - hole };
}

/** Shows the RAM block's parts in the physical address space. */
export function mapRam(memory: MemoryRegion, ram: MemoryRegion, { below4g, above4g }: RamLayout): void {
  memory.add(0, MemoryRegion.alias('ram-below-4g', ram, { size: below4g }));
  if (above4g > 0) memory.add(4 * GIB, MemoryRegion.alias('ram-above-4g', ram, { offset: below4g, size: above4g }));
}

/** Throws PcError if the processor's physical addresses end below the end of RAM. */
export function checkReach({ above4g }: RamLayout, cpu: X86Cpu): void {
  const end = above4g === 0 ? 0 : 4 * GIB + above4g;
  const reach = 2 ** cpu.physicalBits;
  if (end <= reach) return;
  throw new PcError(
    `Address space limit 0x${(reach - 1).toString(16)} < 0x${(end - 1).toString(16)} phys-bits too low (${cpu.physicalBits})`,
    `-cpu ${cpu.model.name} has neither PAE nor PSE-36: use -m 3583 or less, or another -cpu`,
  );
}

/** AuthenticAMD processors of 40 address bits or more: the map says what they keep for HyperTransport. */
const hasHyperTransport = (cpu: X86Cpu): boolean => cpu.model.vendor === 'AuthenticAMD' && cpu.physicalBits >= 40;

/** What int 15h AX=E820h would say after firmware has run. */
export function guestMemoryMap({ below4g, above4g }: RamLayout, cpu: X86Cpu): readonly MemoryRange[] {
  return buildMemoryMap(below4g + above4g, below4g, { hyperTransport: hasHyperTransport(cpu) });
}

/** fw_cfg `etc/e820`: what firmware is told of RAM, entries of address, length (8 bytes each) and type (4). */
export function e820File({ below4g, above4g }: RamLayout, cpu: X86Cpu): Uint8Array {
  const ranges: MemoryRange[] = [{ base: 0, length: below4g, type: E820_RAM }];
  if (above4g > 0) ranges.push({ base: 4 * GIB, length: above4g, type: E820_RAM });
  if (hasHyperTransport(cpu)) ranges.push(HYPER_TRANSPORT);
  const bytes = new Uint8Array(ranges.length * 20);
  const view = new DataView(bytes.buffer);
  ranges.forEach(({ base, length, type }, n) => {
    view.setBigUint64(n * 20, BigInt(base), true);
    view.setBigUint64(n * 20 + 8, BigInt(length), true);
    view.setUint32(n * 20 + 16, type, true);
  });
  return bytes;
}

function checkSize(memorySize: number): void {
  if (!Number.isSafeInteger(memorySize) || memorySize < MIN_MEMORY)
    throw new PcError(`at least 1 MiB of RAM is needed, not ${memorySize} bytes`, '-m 128M');
  if (memorySize > MAX_MEMORY)
    throw new PcError(
      `at most ${MAX_MEMORY / MIB} MiB RAM can be simulated: RAM and the translated code share a WebAssembly memory of 4 GiB`,
      `use -m ${MAX_MEMORY / MIB} or less`,
    );
  if (memorySize % 4096 !== 0) throw new PcError(`the RAM size ${memorySize} is not a multiple of 4 KiB`);
}
