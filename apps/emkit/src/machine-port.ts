/**
 * What the command needs of a machine: the narrow interface between `apps/emkit` and `@emkit/pc`.
 *
 * The command reads files, owns the terminal and parses options; the machine gets bytes, numbers and the small objects below.
 * `load-machine.ts` is the only file that binds this to the real package; tests use a fake.
 */
import type { DebuggerConnection, PcExit, PcOptions as BoardOptions, ProfileReport, Symbols } from '@emkit/pc';

export type { DebuggerConnection, LogOptions, RtcOptions, SerialBackend, Symbols } from '@emkit/pc';

/** The command decides all of it; only which tiers run is left to the machine. */
export type PcOptions = Required<Omit<BoardOptions, 'tier'>>;
/** How a run ends. For `debug-exit` the process exits with `code`, already (value << 1) | 1. */
export type ExitReason = PcExit;

export interface Pc {
  /** Runs until the guest or `quit` ends it. Rejects only for a bug of ours. Called once. */
  run(): Promise<ExitReason>;
  pause(): void;
  resume(): void;
  reset(): void;
  /** Ends `run` soon; may be called at any time, also before `run`. */
  quit(): void;
  /** A debugger has connected; the machine pauses. At most one at a time, the command sees to it. Undefined: no gdb stub. */
  readonly attachDebugger: ((connection: DebuggerConnection) => void) | undefined;
  readonly status: 'running' | 'paused' | 'ended';
  /** What the processor has done so far, in all forms; undefined unless it was asked for. */
  profile(): Profile | undefined;
}

export interface Profile {
  readonly report: ProfileReport;
  text(): string;
  collapsed(): string;
  speedscope(): object;
}

export interface PcModule {
  /** Throws an error with `message` and optional `hint` (one line each) for input it refuses: kernels, CPU models, devices. */
  createPc(options: PcOptions): Promise<Pc>;
  /** Names for "did you mean" and `-cpu help`, in the order to be shown. */
  cpuModels(): readonly { readonly name: string; readonly description: string }[];
  cpuFeatures(): readonly string[];
  /** Reads a symbol map or an ELF file; throws an error with a message. */
  parseSymbols(file: Uint8Array, base: number): Symbols;
}
