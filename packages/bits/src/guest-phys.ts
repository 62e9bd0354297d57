/**
 * Guest physical addresses as a branded number: at most 52 bits (MAXPHYADDR), hence exact in a JavaScript number.
 * Bitwise operators cut to 32 bits and must not be used on one; use the arithmetic functions here and in `alignment.ts`.
 */
import { BoundsError } from './bounds-error.ts';

declare const brand: unique symbol;

/** Guest physical address in bytes, 0 .. 2^52-1. Never apply `&`, `|` or shifts. */
export type GuestPhys = number & { readonly [brand]: 'GuestPhys' };

/** One past the largest guest physical address. SDM Vol. 3A §4.1.4 "Enumeration of Paging Features by CPUID". */
const GUEST_PHYS_LIMIT = 2 ** 52;
const PAGE_SIZE = 4096;

/** A checked guest physical address. Throws `BoundsError` when it is not an integer in range. */
export function GuestPhys(address: number): GuestPhys {
  if (!Number.isInteger(address) || address < 0 || address >= GUEST_PHYS_LIMIT) {
    throw new BoundsError(`${address} is not a guest physical address (0 .. 2^52-1)`);
  }
  return address as GuestPhys;
}

/** The first address of the 4 KiB page that holds `address`. */
export function pageBase(address: GuestPhys): GuestPhys {
  return (address - (address % PAGE_SIZE)) as GuestPhys;
}
