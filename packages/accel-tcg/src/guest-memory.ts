/**
 * The one WebAssembly memory: how much guest RAM fits, and its creation. Addresses in it are 32-bit, unsigned.
 * Not here: what lies where in it (`layout.ts` of codegen).
 */
import { RAM_BASE } from '@emkit/codegen';
import { engine } from './engine.ts';
import type { WasmMemory } from './engine.ts';

const WASM_PAGE = 65536;
/** A 32-bit WebAssembly memory has at most 65536 pages; the translator's own come first. */
export const MAX_RAM_BYTES = 65536 * WASM_PAGE - RAM_BASE;

/** The engine does not give a memory of that size: its limit, or the host's. */
export class HostMemoryError extends Error {
  override readonly name = 'HostMemoryError';
  readonly kind = 'no-memory';
  /** Bytes that were asked for. */
  readonly bytes: number;
  constructor(bytes: number, options: ErrorOptions) {
    super(`the WebAssembly engine gives no memory of ${Math.ceil(bytes / 2 ** 20)} MiB`, options);
    this.bytes = bytes;
  }
}

export function createMemory(ramBytes: number): WasmMemory {
  const pages = Math.ceil((RAM_BASE + ramBytes) / WASM_PAGE);
  try {
    return new engine.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    throw new HostMemoryError(pages * WASM_PAGE, { cause });
  }
}
