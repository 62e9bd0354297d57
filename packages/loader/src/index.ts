export { loadKernel, planBoot, probeKernel } from './load-kernel.ts';
export {
  commitPlan,
  type BootModule,
  type BootPlan,
  type BootProtocol,
  type BootRequest,
  type Segment,
} from './boot-plan.ts';
export { type EntryState, type SegmentState } from './entry-state.ts';
export { createGuestRam, type GuestRam } from './guest-ram.ts';
export { type MemoryRange } from './memory-map.ts';
export { planLinux, planLinuxSetup } from './linux-boot.ts';
export { isLinuxImage, parseLinuxHeader, type LinuxHeader } from './linux-header.ts';
export { findMultibootHeader, planMultiboot, type MultibootHeader } from './multiboot.ts';
export { planPvh } from './pvh.ts';
export { parseElf, physicalEntry, type Elf, type ElfNote, type ElfSegment } from './elf.ts';
export { parseSymbols, SymbolTable, type SymbolHit } from './symbols.ts';
export { LoadError, type LoadErrorCode } from './load-error.ts';
export {
  MAX_COMMAND_LINE,
  MAX_E820_ENTRIES,
  MAX_MODULES,
  MAX_NOTE_BYTES,
  MAX_PROGRAM_HEADERS,
  MAX_SYMBOL_REACH,
  MAX_SYMBOLS,
  MULTIBOOT_SEARCH,
} from './limits.ts';
