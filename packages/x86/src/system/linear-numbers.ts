/**
 * Linear addresses as numbers, where they have 64 bits: from two halves to a number and back, and which are canonical.
 * SDM Vol. 1 §3.3.7.1 "Canonical Addressing", Vol. 3A §4.5 "4-Level Paging and 5-Level Paging"; docs/adr/0015.
 *
 * A canonical 48-bit address is exact as a signed number. With five-level paging addresses have 57 bits, and a double 53: bits 56:44,
 * the _area_ of 16 TiB, are then mapped through a table to a _slot_, bits 53:44 of the number. Areas near 0 (all that four-level paging
 * reaches, and more) keep their value; any other gets the middle one of three neighbouring slots, of which the outer two stand for the areas
 * before and behind it. So the number of an address plus or minus less than an area is right across the border, though not the only one of
 * its address: `one` gives that. The low half is the same in both. When all slots are taken, those asked for the longest ago serve anew.
 *
 * So a number is good for as long as one instruction or one region is worked on, which reach far fewer areas than there are slots. What lasts
 * longer keeps page numbers (they fit a double), halves, or holds its slots (`hold`). Hot path: no allocation.
 */
import { TWO32 } from './address.ts';

/** High half: bits above an area's. */
const AREA_SHIFT = 12;
const IN_AREA = 0xfff;
/** Areas that are their own slot: from -64 to 63, with a neighbour at either end. */
const OWN = 64;
/** Slots of numbers below 2^53. */
const SLOTS = 1024;
const MIDDLE = SLOTS / 2;
const THREES_EACH = Math.floor((MIDDLE - OWN - 1) / 3);
const THREES = 2 * THREES_EACH;
/** Canonical areas: from -4096 to 4095. Those beside them have slots too: an offset leads back from there. */
const AREAS = 4096;
const NO_AREA = 0x7fff;
const EXACT = 2 ** 53;
const CANONICAL_48 = 15;
const CANONICAL_57 = 24;
const END_48 = 2 ** 47;

/** Who holds slots: the guest's debug registers, a debugger. */
export const HELD_BY_GUEST = 1;
export const HELD_BY_DEBUGGER = 2;
/** Slots that a holder may hold; no program has use for debugging so many places 16 TiB apart. */
export const MAX_HELD = 100;

export class LinearNumbers {
  /** CR4.LA57 in long mode. */
  #wide = false;
  #shift = CANONICAL_48;
  readonly #baseShift: number;
  readonly #areaOf = new Int16Array(SLOTS).fill(NO_AREA);
  readonly #slotOf = new Int16Array(2 * AREAS + 2);
  readonly #held = new Uint8Array(THREES);
  /** When each slot was asked for last. */
  readonly #asked = new Float64Array(THREES);
  #now = 0;

  /** `la57`: the processor has five-level paging. */
  constructor(la57: boolean) {
    this.#baseShift = la57 ? CANONICAL_57 : CANONICAL_48;
    for (let area = -OWN - 1; area <= OWN; area++) this.#areaOf[area + MIDDLE] = area;
  }

  /** Addresses have 57 bits (five-level paging is on), not 48. */
  get wide(): boolean {
    return this.#wide;
  }
  setWide(wide: boolean): void {
    this.#wide = wide;
    this.#shift = wide ? CANONICAL_57 : CANONICAL_48;
  }

  /** The number of an address. Of one that is not canonical: a number that is not, perhaps rounded. */
  of(low: number, high: number): number {
    return (this.#wide ? this.#intern(high | 0) : high | 0) * TWO32 + (low >>> 0);
  }
  /** High half of the address, i32. */
  high(n: number): number {
    const high = Math.floor(n / TWO32);
    if (!this.#wide || (n >= -END_48 && n < END_48)) return high;
    return (this.#areaOf[(high >> AREA_SHIFT) + MIDDLE] << AREA_SHIFT) | (high & IN_AREA);
  }
  /** The number of its address that all others are compared as. */
  one(n: number): number {
    return !this.#wide || (n >= -END_48 && n < END_48) ? n : this.of(n | 0, this.high(n));
  }
  /** All that lies in a page has one number, exact and for ever. */
  page(n: number): number {
    return this.#wide ? this.high(n) * (TWO32 / 4096) + ((n | 0) >>> 12) : Math.floor(n / 4096);
  }
  /** The number of a page's first address. */
  ofPage(page: number): number {
    return this.#wide ? this.of((page * 4096) | 0, Math.floor(page / (TWO32 / 4096))) : page * 4096;
  }

  /** By the high half: the bits from the highest one that counts up are equal. */
  canonicalHigh(high: number): boolean {
    const top = high >> this.#shift;
    return top === 0 || top === -1;
  }
  /** In a register that keeps an address, whatever the paging: as wide as the processor has them. */
  canonicalBase(high: number): boolean {
    const top = high >> this.#baseShift;
    return top === 0 || top === -1;
  }
  canonical(n: number): boolean {
    if (n >= -END_48 && n < END_48) return true;
    if (!this.#wide || n < -EXACT || n >= EXACT) return false;
    const area = this.#areaOf[(Math.floor(n / TWO32) >> AREA_SHIFT) + MIDDLE];
    return area >= -AREAS && area < AREAS;
  }

  /** As `of`, of a number that is to last until `release`; null when the holder has too many. Also before five-level paging is on. */
  hold(low: number, high: number, holder: number): number | null {
    const area = (high | 0) >> AREA_SHIFT;
    if (isOwn(area) || area < -AREAS - 1 || area > AREAS) return (high | 0) * TWO32 + (low >>> 0);
    let slot = this.#slotOf[area + AREAS + 1];
    const three = slot === 0 ? -1 : threeOf(slot);
    if (three < 0 || (this.#held[three] & holder) === 0) {
      let count = 0;
      for (const by of this.#held) if ((by & holder) !== 0) count++;
      if (count >= MAX_HELD) return null;
      if (slot === 0) slot = this.#allot(area);
      this.#held[threeOf(slot)] |= holder;
    }
    return ((slot << AREA_SHIFT) | (high & IN_AREA)) * TWO32 + (low >>> 0);
  }
  release(holder: number): void {
    for (let t = 0; t < THREES; t++) this.#held[t] &= ~holder;
  }

  /** High half of the number. */
  #intern(high: number): number {
    const area = high >> AREA_SHIFT;
    if (isOwn(area) || area < -AREAS - 1 || area > AREAS) return high;
    const slot = this.#slotOf[area + AREAS + 1] || this.#allot(area);
    this.#asked[threeOf(slot)] = ++this.#now;
    return (slot << AREA_SHIFT) | (high & IN_AREA);
  }

  /** The slot for an area that has none: of those that nobody holds, the one asked for the longest ago. */
  #allot(area: number): number {
    let three = -1;
    let oldest = Infinity;
    for (let t = 0; t < THREES; t++) {
      if (this.#held[t] !== 0 || this.#asked[t] >= oldest) continue;
      oldest = this.#asked[t];
      three = t;
    }
    const slot = three < THREES_EACH ? OWN + 2 + 3 * three : -OWN - 3 - 3 * (three - THREES_EACH);
    const at = slot + MIDDLE;
    const before = this.#areaOf[at];
    if (before !== NO_AREA) this.#slotOf[before + AREAS + 1] = 0;
    this.#areaOf[at - 1] = area - 1;
    this.#areaOf[at] = area;
    this.#areaOf[at + 1] = area + 1;
    this.#slotOf[area + AREAS + 1] = slot;
    return slot;
  }
}

const isOwn = (area: number): boolean => area >= -OWN && area < OWN;
const threeOf = (slot: number): number => (slot > 0 ? (slot - OWN - 2) / 3 : THREES_EACH + (-slot - OWN - 3) / 3);
