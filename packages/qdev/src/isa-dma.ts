/** The contract between ISA devices that use DMA (floppy, sound) and the 8237 pair. Neither imports the other. */

/**
 * Called while the channel is requested, unmasked and enabled: move what is ready with `read` or `write`, and drop the
 * request when there is no more. Bounded work; it is called again as long as the request stays and something moves.
 */
export type IsaDmaHandler = (channel: number) => void;

export interface IsaDma {
  /** One device per channel; channel 4 is the cascade and belongs to nobody. */
  register(channel: number, handler: IsaDmaHandler): void;
  unregister(channel: number): void;
  /** DREQ. The handler is never called from inside this call. */
  setRequest(channel: number, level: number | boolean): void;
  /** Bytes up to terminal count, as the guest programmed and as far as the transfer has got. */
  remaining(channel: number): number;
  /** Memory to device. Returns bytes moved: fewer than asked at terminal count; 0 when the channel may not transfer this way. */
  read(channel: number, target: Uint8Array): number;
  /** Device to memory; likewise. A verify transfer counts and stores nothing. */
  write(channel: number, source: Uint8Array): number;
  /** Did the last `read` or `write` reach terminal count? */
  terminalCount(channel: number): boolean;
}
