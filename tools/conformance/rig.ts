/**
 * What a conformance suite needs of a CPU under test. State is read and written through `cpu` (env); a rig supplies
 * memory and execution, so that the suites know neither tiers nor machines.
 */
import type { X86Cpu } from '@emkit/x86';

/** How a run ended: the exception's vector and error code (-1: none), and the state that its handler would see. */
export interface UserStop {
  readonly vector: number;
  readonly error: number;
  readonly eip: number;
  readonly eflags: number;
  readonly esp: number;
  /** High halves, of 64-bit code. */
  readonly eipHigh: number;
  readonly espHigh: number;
}

/** Code that a user rig runs: 32-bit code of a 32-bit system, 64-bit code, 32-bit code under a 64-bit system (compatibility mode). */
export type UserMode = '32' | '64' | 'compat';

/** Flat code at CPL 3 with paging. */
export interface UserRig {
  readonly cpu: X86Cpu;
  /** Registers as after `reset`, segments flat; pages keep their contents. */
  reset(): void;
  write(linear: number, bytes: Uint8Array): void;
  read(linear: number, length: number): Uint8Array;
  /** Run from the current EIP until an exception; null when it did not come. */
  run(): UserStop | null;
}

/** Real mode on 16 MiB + 64 KiB of RAM. */
export interface RealRig {
  readonly cpu: X86Cpu;
  /** Selectors in the order ES CS SS DS FS GS; base = selector * 16. */
  reset(selectors: readonly number[]): void;
  write(physical: number, byte: number): void;
  read(physical: number): number;
  /** Run until HLT; false when it did not come. */
  run(): boolean;
}

export type Tier = 'cold' | 'hot' | 'ir';

/** Pages that native-vectors wants (its README, "Running one"). */
export const CODE_PAGE = 0x10000000;
export const DATA_PAGE = 0x20000000;
export const STACK_PAGE = 0x30000000;
export const USER_PAGES = [CODE_PAGE, DATA_PAGE, DATA_PAGE + 0x1000, STACK_PAGE];
