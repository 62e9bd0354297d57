/**
 * The memory map as a loader needs it: which guest-physical ranges are RAM.
 *
 * Types are those of ACPI 6 §15 "System Address Map Interfaces" (1 = RAM). The board builds the map; nothing here invents one.
 */
export interface MemoryRange {
  readonly base: number;
  readonly length: number;
  /** 1 RAM, 2 reserved, 3 ACPI reclaimable, 4 ACPI NVS, 5 unusable. */
  readonly type: number;
}

export const MEMORY_RAM = 1;

const MIB = 0x10_0000;

/** End of the RAM that contains `address`, following adjacent ranges; 0 when `address` is not RAM. */
export function ramEndAt(map: readonly MemoryRange[], address: number): number {
  let end = 0;
  let from = address;
  for (let again = true; again;) {
    again = false;
    for (const range of map) {
      if (range.type !== MEMORY_RAM || range.base > from || range.base + range.length <= from) continue;
      end = range.base + range.length;
      from = end;
      again = true;
    }
  }
  return end;
}

/** Whether all of [address, address + length) is RAM. */
export function isRam(map: readonly MemoryRange[], address: number, length: number): boolean {
  return length === 0 || ramEndAt(map, address) >= address + length;
}

/** KiB of RAM from 0 (`mem_lower`, at most 640) and from 1 MiB up (`mem_upper`, `alt_mem_k`), below 4 GiB. */
export function memoryKib(map: readonly MemoryRange[]): { lower: number; upper: number } {
  const lower = Math.min(ramEndAt(map, 0), 640 * 1024) >>> 10;
  const upper = Math.max(0, Math.min(ramEndAt(map, MIB), 2 ** 32) - MIB);
  return { lower, upper: Math.floor(upper / 1024) };
}
