/**
 * What the event loop needs from the program around it: two clocks, a way to be called later, and (where it exists) a
 * way to block. It is the gate through which time enters, so a recording or a test replaces it as a whole.
 * The default host uses only what browsers, workers and Node have in common; nothing here imports from Node.
 */
import { AioError } from './aio-error.ts';

export interface AioHost {
  /** Monotonic time in ns; an integer from any fixed origin. */
  monotonicNs(): number;
  /** Wall-clock time in ms since 1970 (UTC). */
  wallClockMs(): number;
  /**
   * Call `callback` once from the host's event loop, not before `delayNs` has passed; 0 means after the host has looked
   * at its other events, `Infinity` means never (but the program stays alive meanwhile). Returns the cancellation.
   */
  schedule(delayNs: number, callback: () => void): () => void;
  /** Block the thread for about `ns` (finite). Absent where that is impossible. */
  block?(ns: number): void;
}

/** The parts of the global object that the default host uses. */
interface HostGlobals {
  readonly performance: { now(): number };
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly clearImmediate?: (handle: unknown) => void;
  readonly MessageChannel?: new () => {
    readonly port1: { onmessage: (() => void) | null };
    readonly port2: { postMessage(message: unknown): void };
  };
}

/** `setTimeout` takes a signed 32-bit number of milliseconds. */
const MAX_TIMEOUT_MS = 0x7fff_ffff;
const NS_PER_MS = 1_000_000;

/** The host that this program runs on: browser page, worker, or Node. */
export function createDefaultHost(): AioHost {
  const globals = globalThis as unknown as HostGlobals;
  // looked up once: in Node it is a getter of the global object, which costs a third of the call itself
  const { performance } = globals;
  const soon = createSoon(globals);
  let sleepCell: Int32Array | undefined;
  return {
    monotonicNs: () => Math.round(performance.now() * NS_PER_MS),
    wallClockMs: () => Date.now(),
    schedule(delayNs, callback) {
      if (delayNs <= 0) return soon(callback);
      // Rounded up: waking early would only mean sleeping again. Timers keep their rate since deadlines are absolute.
      const handle = globals.setTimeout(callback, Math.min(Math.ceil(delayNs / NS_PER_MS), MAX_TIMEOUT_MS));
      return () => globals.clearTimeout(handle);
    },
    block(ns) {
      try {
        sleepCell ??= new Int32Array(new SharedArrayBuffer(4));
        // engines cut this to microseconds: rounded up, since waking early would only mean sleeping again
        Atomics.wait(sleepCell, 0, 0, Math.ceil(ns / 1000) / 1000);
      } catch {
        throw new AioError(
          'cannot-block',
          'this thread cannot block (a browser page, or no shared memory): use wait() instead',
        );
      }
    },
  };
}

/** A turn of the host's event loop: `setImmediate` where it exists, else a message to oneself, else a zero timeout. */
function createSoon(globals: HostGlobals): (callback: () => void) => () => void {
  const { setImmediate, clearImmediate, MessageChannel } = globals;
  if (setImmediate !== undefined && clearImmediate !== undefined) {
    return (callback) => {
      const handle = setImmediate(callback);
      return () => clearImmediate(handle);
    };
  }
  if (MessageChannel === undefined) {
    return (callback) => {
      const handle = globals.setTimeout(callback, 0);
      return () => globals.clearTimeout(handle);
    };
  }
  const channel = new MessageChannel();
  const waiting: { callback: (() => void) | undefined }[] = [];
  channel.port1.onmessage = () => waiting.shift()?.callback?.();
  return (callback) => {
    const entry: { callback: (() => void) | undefined } = { callback };
    waiting.push(entry);
    channel.port2.postMessage(0);
    return () => {
      entry.callback = undefined;
    };
  };
}
