/**
 * What a loader may touch of the guest: bounded writes into RAM, nothing else.
 *
 * Addresses are guest-physical. An implementation throws on a range outside `size`; the planners check every range first,
 * so such a throw is a bug here and not bad input.
 */
export interface GuestRam {
  /** Bytes that may be addressed, from 0. */
  readonly size: number;
  write(address: number, bytes: Uint8Array): void;
  zero(address: number, length: number): void;
}

/** RAM as a plain byte array, for tests and for boards whose RAM starts at 0 of one buffer. */
export function createGuestRam(memory: Uint8Array): GuestRam {
  const check = (address: number, length: number): void => {
    if (
      !Number.isSafeInteger(address) ||
      address < 0 ||
      length < 0 ||
      length > memory.length ||
      address > memory.length - length
    ) {
      throw new RangeError(
        `guest RAM access outside 0..0x${memory.length.toString(16)}: 0x${address.toString(16)} + 0x${length.toString(16)}`,
      );
    }
  };
  return {
    size: memory.length,
    write(address, bytes) {
      check(address, bytes.length);
      memory.set(bytes, address);
    },
    zero(address, length) {
      check(address, length);
      memory.fill(0, address, address + length);
    },
  };
}
