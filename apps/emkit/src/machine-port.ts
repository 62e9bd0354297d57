/**
 * What the command needs of a machine: the narrow interface between `apps/emkit` and `@emkit/pc`.
 *
 * The command reads files, owns the terminal and parses options; the machine gets bytes, numbers and the small objects below.
 * `load-machine.ts` is the only file that binds this to the real package; tests use a fake.
 */
import type { AddressRange } from './numbers.ts';

/** The host side of a character device. All calls are made on the main thread, none blocks. */
export interface SerialBackend {
  /** Bytes from the guest. The callee copies what it keeps. */
  write(bytes: Uint8Array): void;
  /** Takes at most `max` waiting input bytes; empty when there are none. A UART calls it when its FIFO has room. */
  read(max: number): Uint8Array;
  /** Set by the machine; called when input has arrived after `read` ran dry. */
  onReadable: (() => void) | undefined;
  /** Set by the machine; called when the user asks for a break condition (C-a b). */
  onBreak: (() => void) | undefined;
}

export interface DeviceOption {
  readonly driver: string;
  /** Checked against the device table; integers are in the spelling of the user. */
  readonly properties: ReadonlyMap<string, string>;
  /** For a property `chardev`. */
  readonly backend: SerialBackend | undefined;
  /** The option as typed, for messages. */
  readonly typed: string;
}

export interface RtcOptions {
  /** Milliseconds since 1970 that the clock shows at start, as if in the guest's zone; undefined = the host's time in `zone`. */
  readonly startMs: number | undefined;
  readonly zone: 'utc' | 'localtime';
  readonly clock: 'host' | 'rt' | 'vm';
}

export interface IcountOptions {
  readonly shift: number | 'auto';
  readonly sleep: boolean;
}

export interface LogOptions {
  readonly items: ReadonlySet<string>;
  readonly ranges: readonly AddressRange[];
  write(text: string): void;
}

export interface PcOptions {
  readonly machine: string;
  /** Bytes. */
  readonly memorySize: number;
  readonly cpu: string;
  readonly acpi: boolean;
  readonly kernel: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  readonly modules: readonly { readonly bytes: Uint8Array; readonly commandLine: string }[];
  readonly append: string;
  readonly bios: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  /** COM1 to COM4; undefined = the port does not exist. */
  readonly serial: readonly (SerialBackend | undefined)[];
  /** Debug console at port 0xE9. */
  readonly debugcon: SerialBackend | undefined;
  readonly devices: readonly DeviceOption[];
  readonly globals: readonly { readonly driver: string; readonly property: string; readonly value: string }[];
  readonly rtc: RtcOptions;
  readonly icount: IcountOptions | undefined;
  readonly log: LogOptions | undefined;
  /** A guest reset ends the run (`run` gives kind 'reset'). */
  readonly noReboot: boolean;
  /** A guest power-off pauses the machine instead of ending the run. */
  readonly noShutdown: boolean;
  /** Do not start the CPU. */
  readonly startPaused: boolean;
  /** Things worth a line on stderr: warnings of the loader, unusual guest behaviour. */
  warn(text: string): void;
}

export type ExitReason =
  | { readonly kind: 'shutdown' }
  | { readonly kind: 'reset' }
  /** isa-debug-exit: the process exits with `code`, already (value << 1) | 1. */
  | { readonly kind: 'debug-exit'; readonly code: number }
  /** `quit()` was called. */
  | { readonly kind: 'quit' }
  /** The guest cannot go on and -action panic says to leave; `message` is one line. */
  | { readonly kind: 'guest-error'; readonly message: string };

/** One debugger's connection, as the machine's gdb stub sees it. */
export interface DebuggerConnection {
  send(bytes: Uint8Array): void;
  /** Set by the stub. */
  onData: ((bytes: Uint8Array) => void) | undefined;
  /** Set by the stub; called when the peer has gone. */
  onClose: (() => void) | undefined;
  close(): void;
}

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
}

export interface PcModule {
  /** Throws an error with `message` and optional `hint` (one line each) for input it refuses: kernels, CPU models, devices. */
  createPc(options: PcOptions): Promise<Pc>;
  /** Names for "did you mean" and `-cpu help`, in the order to be shown. */
  cpuModels(): readonly { readonly name: string; readonly description: string }[];
  cpuFeatures(): readonly string[];
}
