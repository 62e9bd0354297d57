/** The contract between ISA devices that use DMA (floppy, sound) and the 8237 pair. Neither imports the other. */

/**
 * The device's end of a channel. Called while the channel is unmasked and requested. `position` and `length` are bytes
 * into the programmed buffer. Transfer with `read`/`write` of the controller, then return the new position (at most
 * `length`; reaching it raises terminal count, or wraps in auto-init mode).
 */
export type IsaDmaHandler = (channel: number, position: number, length: number) => number;

export interface IsaDma {
  register(channel: number, handler: IsaDmaHandler): void;
  unregister(channel: number): void;
  /** DREQ: the device wants service. The handler runs from `run`, never inside this call. */
  setRequest(channel: number, level: number): void;
  /** Serves requested, unmasked channels; bounded work. The machine calls it from a bottom half or before the guest runs on. */
  run(): void;
  /** Called when a request appears that `run` should serve. */
  onRequest: (() => void) | null;
  /** From the guest's buffer at `position` to the device. Returns bytes done; 0 unless the mode is a memory read. */
  readMemory(channel: number, target: Uint8Array, position: number): number;
  /** From the device to the guest's buffer. Returns bytes done; a verify transfer counts and stores nothing. */
  writeMemory(channel: number, source: Uint8Array, position: number): number;
  /** Has the channel finished its count since the guest programmed it? */
  terminalCount(channel: number): boolean;
}
