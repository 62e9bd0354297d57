/**
 * The few things that every JavaScript host has and the language's own library types lack: UTF-8 and timers. Typed here, so that no
 * DOM or Node types are needed.
 */
interface Globals {
  readonly TextEncoder: new () => { encode(text: string): Uint8Array };
  readonly TextDecoder: new (label: string, options: { fatal: boolean }) => { decode(bytes: Uint8Array): string };
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}
const globals = globalThis as unknown as Globals;

export const utf8 = (text: string): Uint8Array => new globals.TextEncoder().encode(text);

/** The text, or undefined when the bytes are not UTF-8 or have a NUL. NBD protocol, "Values": strings are UTF-8 without NUL. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new globals.TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Deadlines. Injected in tests; the default is the host's clock. */
export interface Timer {
  /** Calls back once after `ms`; the result cancels. */
  after(ms: number, callback: () => void): () => void;
}

export const hostTimer: Timer = {
  after(ms, callback) {
    const handle = globals.setTimeout(callback, ms);
    // a deadline alone does not keep a Node program running
    (handle as { unref?: () => void }).unref?.();
    return () => globals.clearTimeout(handle);
  },
};
