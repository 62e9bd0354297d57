/**
 * What a PC is made of, as the embedder says it: plain values, bytes and small host objects.
 */

import type { OptimisationChoice } from '@emkit/ir';
import type { CompileThread } from './compile-thread.ts';
import type { TranslationCacheOptions } from './kept-translations.ts';
import type { Symbols } from './profile-report.ts';

/** The host side of a character device; no call blocks. */
export interface SerialBackend {
  /** Bytes from the guest; the callee copies what it keeps. */
  write(bytes: Uint8Array): void;
  /** At most `max` waiting input bytes; empty when there are none. */
  read(max: number): Uint8Array;
  /** Set by the UART: call it when input has arrived after `read` ran dry. */
  onReadable: (() => void) | undefined;
  /** Set by the UART: call it for a break condition. */
  onBreak: (() => void) | undefined;
}

export interface DeviceOption {
  readonly driver: string;
  /** Integers are in the spelling of the user. */
  readonly properties: ReadonlyMap<string, string>;
  /** For a property `chardev`. */
  readonly backend?: SerialBackend | undefined;
  /** The option as typed, for messages. */
  readonly typed: string;
}

export interface RtcOptions {
  /** Milliseconds since 1970 that the clock shows at start, as if in the guest's zone; undefined: the host's time in `zone`. */
  readonly startMs: number | undefined;
  readonly zone: 'utc' | 'localtime';
  readonly clock: 'host' | 'rt' | 'vm';
}

export interface IcountOptions {
  /** Virtual ns per instruction = 2^shift. */
  readonly shift: number | 'auto';
  /** An idle guest waits in real time; false: its clock jumps to the next timer. */
  readonly sleep: boolean;
}

export interface LogOptions {
  readonly items: ReadonlySet<string>;
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
  write(text: string): void;
}

export interface PcOptions {
  /** 'pc' (alias 'pc-i440fx-7.2'). */
  readonly machine?: string;
  /** Bytes of RAM, 1 MiB to `MAX_MEMORY`, a multiple of 4 KiB. */
  readonly memorySize: number;
  /** RAM that reaches this address is split around the PCI hole; a multiple of 4 KiB up to 4 GiB. @default 3.5 GiB */
  readonly maxRamBelow4g?: number | undefined;
  /** As for `-cpu`: model and feature flags. */
  readonly cpu?: string;
  readonly acpi?: boolean;
  readonly kernel?: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  readonly modules?: readonly { readonly bytes: Uint8Array; readonly commandLine: string }[];
  readonly append?: string;
  /** Firmware image, mapped to end at 4 GiB and (its last 128 KiB) at 1 MiB. */
  readonly bios?: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  /** COM1 to COM4; undefined: the port does not exist. */
  readonly serial?: readonly (SerialBackend | undefined)[];
  readonly debugcon?: SerialBackend | undefined;
  readonly devices?: readonly DeviceOption[];
  readonly globals?: readonly { readonly driver: string; readonly property: string; readonly value: string }[];
  readonly rtc?: RtcOptions;
  readonly icount?: IcountOptions | undefined;
  /**
   * Bytes for RDRAND and RDSEED, where the CPU model has them: what fills a buffer, or a number that the same ones are made from each
   * time (no secrets). Default: `crypto.getRandomValues`.
   */
  readonly random?: ((bytes: Uint8Array) => void) | number | undefined;
  readonly log?: LogOptions | undefined;
  /** Count and sample what the processor runs: `Pc.profile()` reports it. Slower by some percent. */
  readonly profile?: { readonly symbols: readonly Symbols[] } | undefined;
  /** A guest reset ends the run (`run` gives kind 'reset'). */
  readonly noReboot?: boolean;
  /** A guest power-off pauses the machine instead of ending the run. */
  readonly noShutdown?: boolean;
  /** Do not start the CPU. */
  readonly startPaused?: boolean;
  /** 'auto' (default), or one tier only: for tests and comparisons. */
  readonly tier?: 'auto' | 'cold' | 'hot';
  /** What the translator does, by name (`OPTIMISATIONS` of `@emkit/ir`); what is not named is on. For finding the cause of a difference. */
  readonly optimisations?: OptimisationChoice;
  /**
   * Hot code is compiled in another thread, while the processor goes on with what it has. Not with `icount`, whose runs repeat. Default: between
   * two slices.
   */
  readonly compileThread?: CompileThread | undefined;
  /** Keep translations from run to run, for a quicker start of the same guest (docs/adr/0019). Default: they are forgotten. */
  readonly translations?: TranslationCacheOptions | undefined;
  /** Things worth a line for a person: warnings of the loader, unusual guest behaviour. */
  warn?(text: string): void;
}

/** Input that the PC refuses: a message and, where there is one, the next step. */
export class PcError extends Error {
  override readonly name = 'PcError';
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

const MIB = 2 ** 20;
export const MIN_MEMORY = MIB;
/** Largest firmware image. */
export const MAX_BIOS = 16 * MIB;
