/**
 * Everything that a device may want of the outside besides its bus: clocks, trace, requests to the machine. All of it is
 * injected, so that a device runs the same in a test, in a worker and under replay. Structural: any event loop's clock
 * and timer fit.
 */

/** Nanoseconds as numbers: exact up to 2^53 ns, 104 days. */
export interface DeviceClock {
  now(): number;
  createTimer(callback: () => void): DeviceTimer;
}

/** Wall-clock time in ms since 1970-01-01 UTC is `epochMs + now() / 1e6`: ns since 1970 would not be exact in a number. */
export interface HostClock extends DeviceClock {
  /** Wall-clock time of this clock's zero, ms since 1970-01-01 UTC. */
  readonly epochMs: number;
}

export interface DeviceTimer {
  /** Fires once, when the clock reaches `deadline` (ns, absolute). Replaces an earlier deadline. */
  mod(deadline: number): void;
  del(): void;
  /** Absolute ns; -1 while not armed. */
  readonly deadline: number;
}

/**
 * Receiver of trace events. Numbers only, so that an event costs nothing but a test while `enabled` is false:
 * `if (trace.enabled) trace.emit(this.id, 'unassigned-read', port, size);`
 */
export interface TraceSink {
  readonly enabled: boolean;
  emit(source: string, event: string, a?: number, b?: number, c?: number): void;
}

/** The default: no events, no cost. */
export const NO_TRACE: TraceSink = { enabled: false, emit: () => {} };

/** What a chip can ask of the machine around it. Calls return at once; the machine acts after the current instruction. */
export interface SystemRequests {
  /** Hard reset of the whole machine. `cause` for people: 'port 92', 'cf9', 'keyboard controller', 'triple fault'. */
  reset(cause: string): void;
  /** Power off. `exitCode` is for the host process, where the guest chose one (isa-debug-exit). */
  shutdown(cause: string, exitCode?: number): void;
}

export interface DeviceEnv {
  /** The virtual clock: stands still while the machine is stopped. */
  readonly clock: DeviceClock;
  /** Follows wall-clock time; through the machine's one gate for nondeterminism. */
  readonly hostClock: HostClock;
  readonly trace: TraceSink;
  readonly system: SystemRequests;
}
