/**
 * A boot plan: which bytes go where in guest RAM, and how the CPU starts. Made completely before the first byte is copied.
 *
 * Invariants of a plan that `checkSegments` let through: every segment lies in RAM of the memory map, none wraps, no two overlap.
 * `commitPlan` writes the segments and nothing else.
 */
import type { EntryState } from './entry-state.ts';
import type { GuestRam } from './guest-ram.ts';
import { LoadError } from './load-error.ts';
import { isRam, ramEndAt, type MemoryRange } from './memory-map.ts';

export interface Segment {
  /** What it is, for messages: `kernel`, `initrd`, `command line`. */
  readonly name: string;
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Bytes occupied, at least `bytes.length`; the rest is zeroed. */
  readonly memorySize: number;
}

export type BootProtocol = 'linux' | 'multiboot' | 'pvh';

export interface BootPlan {
  readonly protocol: BootProtocol;
  readonly entry: EntryState;
  readonly segments: readonly Segment[];
  /** The kernel's code is 64-bit: a processor without long mode cannot run it. */
  readonly needsLongMode?: boolean;
  /** Things worth a line to the user that do not stop the boot. */
  readonly warnings: readonly string[];
}

export interface BootModule {
  readonly bytes: Uint8Array;
  /** Name and arguments, as multiboot and PVH hand them to the guest. */
  readonly commandLine: string;
}

export interface BootRequest {
  /** `name` appears in messages and as the first word of the multiboot command line. */
  readonly kernel: { readonly name: string; readonly bytes: Uint8Array };
  /** Linux takes at most one (its initrd); multiboot and PVH any number up to the limit. */
  readonly modules?: readonly BootModule[];
  readonly commandLine: string;
  readonly memoryMap: readonly MemoryRange[];
  /** Physical address of the ACPI RSDP, where the board has one; saves the kernel the search. */
  readonly acpiRsdp?: number;
}

const hex = (n: number): string => `0x${n.toString(16)}`;

export function segment(name: string, address: number, bytes: Uint8Array, memorySize = bytes.length): Segment {
  return { name, address, bytes, memorySize };
}

/** Throws a `LoadError` naming the first segment that wraps, lies outside RAM, or overlaps another. */
export function checkSegments(segments: readonly Segment[], map: readonly MemoryRange[]): void {
  for (const s of segments) {
    if (
      !Number.isSafeInteger(s.address) ||
      s.address < 0 ||
      s.memorySize < s.bytes.length ||
      !Number.isSafeInteger(s.address + s.memorySize)
    ) {
      throw new LoadError('bad-header', `${s.name}: bad address or size (${hex(s.address)} + ${hex(s.memorySize)})`);
    }
    const end = s.address + s.memorySize;
    if (end > 2 ** 32)
      throw new LoadError('wraps', `${s.name}: segment ${hex(s.address)} + ${hex(s.memorySize)} wraps past 4 GiB`);
    if (!isRam(map, s.address, s.memorySize)) {
      const top = ramEndAt(map, 0x10_0000);
      throw new LoadError(
        'outside-ram',
        `${s.name} does not fit in RAM: needs ${hex(s.address)}..${hex(end)}, RAM from 1 MiB ends at ${hex(top)}`,
        end > top ? `give the guest more memory: -m ${Math.ceil(end / 2 ** 20) + 16}` : undefined,
      );
    }
  }
  const sorted = segments.filter((s) => s.memorySize > 0).sort((a, b) => a.address - b.address);
  for (let i = 1; i < sorted.length; i++) {
    const a = sorted[i - 1]!;
    const b = sorted[i]!;
    if (a.address + a.memorySize > b.address) {
      throw new LoadError(
        'overlap',
        `${b.name} at ${hex(b.address)} overlaps ${a.name} (${hex(a.address)}..${hex(a.address + a.memorySize)})`,
      );
    }
  }
}

/** Writes a checked plan. Throws before the first write when `ram` is smaller than the plan's memory map promised. */
export function commitPlan(plan: BootPlan, ram: GuestRam): void {
  for (const s of plan.segments) {
    if (s.address + s.memorySize > ram.size) {
      throw new LoadError(
        'outside-ram',
        `${s.name} does not fit in RAM: ends at ${hex(s.address + s.memorySize)}, RAM is ${hex(ram.size)} bytes`,
      );
    }
  }
  for (const s of plan.segments) {
    ram.write(s.address, s.bytes);
    if (s.memorySize > s.bytes.length) ram.zero(s.address + s.bytes.length, s.memorySize - s.bytes.length);
  }
}
