/**
 * What a disk must read as: a byte array, and for sectors of which that is not certain (a write that failed or that a power cut may have
 * lost, a discard) every content they may have. A sector is old or new, never a mixture.
 */
import { SECTOR } from './power-cut.ts';

export interface Change {
  readonly offset: number;
  readonly length: number;
  /** Absent: zeroes. */
  readonly data?: Uint8Array | undefined;
}

/** More contents than this for one sector: anything is accepted there. Un-flushed overlapping writes double the number each. */
const MAX_CONTENTS = 64;

export class ContentModel {
  /** More than one: a resize that may or may not have happened. */
  sizes: readonly number[];
  #bytes: Uint8Array;
  /** All possible contents of a sector in doubt; none: any. */
  readonly #doubt = new Map<number, Uint8Array[]>();

  constructor(content: Uint8Array) {
    this.sizes = [content.length];
    if (content.length % SECTOR === 0) this.#bytes = content.slice();
    else {
      this.#bytes = new Uint8Array(Math.ceil(content.length / SECTOR) * SECTOR);
      this.#bytes.set(content);
    }
  }

  /** The largest it may have. */
  get size(): number {
    return Math.max(...this.sizes);
  }

  get isCertain(): boolean {
    return this.#doubt.size === 0 && this.sizes.length === 1;
  }

  fork(): ContentModel {
    const copy = new ContentModel(this.#bytes);
    copy.sizes = this.sizes;
    for (const [sector, contents] of this.#doubt) copy.#doubt.set(sector, contents);
    return copy;
  }

  apply(change: Change, isCertain = true): void {
    const { offset, length, data } = change;
    const end = offset + length;
    if (end > this.#bytes.length) this.#grow(end);
    if (isCertain && this.#doubt.size === 0) {
      if (data === undefined) this.#bytes.fill(0, offset, end);
      else this.#bytes.set(data, offset);
      return;
    }
    for (let at = offset; at < end;) {
      const sector = Math.floor(at / SECTOR);
      const next = Math.min((sector + 1) * SECTOR, end);
      const within = at - sector * SECTOR;
      const before = next - at === SECTOR ? [new Uint8Array(SECTOR)] : this.#contents(sector);
      const after = before.map((old) => {
        const changed = old.slice();
        if (data === undefined) changed.fill(0, within, next - sector * SECTOR);
        else changed.set(data.subarray(at - offset, next - offset), within);
        return changed;
      });
      if (isCertain) this.#put(sector, after);
      else this.#add(sector, after);
      at = next;
    }
  }

  /** `fresh`: what it grows by is zero, or anything. */
  resize(size: number, isCertain = true, fresh: 'zero' | 'any' = 'zero'): void {
    const { size: old } = this;
    if (size > this.#bytes.length) this.#grow(size);
    if (fresh === 'any')
      for (let at = Math.min(old, size); at < size; at += SECTOR) this.#doubt.set(Math.floor(at / SECTOR), []);
    if (size < old) this.apply({ offset: size, length: old - size }, isCertain);
    this.sizes = isCertain ? [size] : [...new Set([...this.sizes, size])];
  }

  /** Everything is as in `other`. */
  become(other: ContentModel): void {
    this.sizes = other.sizes;
    this.#bytes = other.#bytes.slice();
    this.#doubt.clear();
    for (const [sector, contents] of other.#doubt) this.#doubt.set(sector, contents);
  }

  /** Everything may be as it is or as in `other`. */
  merge(other: ContentModel): void {
    this.sizes = [...new Set([...this.sizes, ...other.sizes])];
    this.#grow(other.#bytes.length);
    for (let sector = 0; sector * SECTOR < this.#bytes.length; sector++) this.#add(sector, other.#contents(sector));
  }

  /** A text when what was read cannot be. */
  check(offset: number, actual: Uint8Array): string | undefined {
    const end = offset + actual.length;
    if (end <= this.#bytes.length && this.#doubt.size === 0 && equals(actual, this.#bytes.subarray(offset, end)))
      return undefined;
    for (let at = offset; at < end;) {
      const sector = Math.floor(at / SECTOR);
      const next = Math.min((sector + 1) * SECTOR, end);
      const part = actual.subarray(at - offset, next - offset);
      const within = at - sector * SECTOR;
      const contents = this.#doubt.get(sector);
      const isRight =
        contents === undefined
          ? equals(part, this.#sector(sector).subarray(within, within + part.length))
          : contents.length === 0 || contents.some((c) => equals(part, c.subarray(within, within + part.length)));
      if (!isRight) return this.#difference(sector, within, part);
      at = next;
    }
    return undefined;
  }

  /** What was read, and is possible, is what it is from now on. Whole sectors only; parts stay in doubt. */
  settle(offset: number, actual: Uint8Array): void {
    if (this.#doubt.size === 0) return;
    for (const sector of [...this.#doubt.keys()]) {
      const at = sector * SECTOR - offset;
      if (at >= 0 && at + SECTOR <= actual.length) this.#put(sector, [actual.slice(at, at + SECTOR)]);
    }
  }

  /** Whether the range is zero for certain. */
  isZero(offset: number, length: number): boolean {
    return this.check(offset, new Uint8Array(length)) === undefined;
  }

  #sector(sector: number): Uint8Array {
    const at = sector * SECTOR;
    return at < this.#bytes.length ? this.#bytes.subarray(at, at + SECTOR) : new Uint8Array(SECTOR);
  }

  #contents(sector: number): readonly Uint8Array[] {
    return this.#doubt.get(sector) ?? [this.#sector(sector).slice()];
  }

  #put(sector: number, contents: Uint8Array[]): void {
    const [only] = contents;
    if (only !== undefined && contents.length === 1) {
      this.#bytes.set(only, sector * SECTOR);
      this.#doubt.delete(sector);
    } else this.#doubt.set(sector, contents);
  }

  #add(sector: number, more: readonly Uint8Array[]): void {
    const before = this.#contents(sector);
    if (before.length === 0) return;
    const all = [...before];
    for (const content of more) if (!all.some((c) => equals(c, content))) all.push(content);
    if (more.length === 0 || all.length > MAX_CONTENTS) this.#doubt.set(sector, []);
    else if (all.length > before.length) this.#put(sector, all);
  }

  #grow(size: number): void {
    if (size <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.ceil(size / SECTOR) * SECTOR);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }

  #difference(sector: number, within: number, part: Uint8Array): string {
    const contents = this.#contents(sector).map((c) => c.subarray(within, within + part.length));
    const wanted = contents[0] as Uint8Array;
    const at = part.findIndex((byte, i) => byte !== wanted[i]);
    const show = (bytes: Uint8Array): string => hex(bytes.subarray(at, at + 8));
    const list = contents.slice(0, 4).map(show).join(' or ');
    return `at ${sector * SECTOR + within + at}: read ${show(part)}, wanted ${list}`;
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Hot path. By words where both begin at a word. */
function equals(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  let at = 0;
  if (((a.byteOffset | b.byteOffset) & 3) === 0) {
    const words = length >> 2;
    const left = new Int32Array(a.buffer, a.byteOffset, words);
    const right = new Int32Array(b.buffer, b.byteOffset, words);
    for (let i = 0; i < words; i++) if (left[i] !== right[i]) return false;
    at = words * 4;
  }
  for (; at < length; at++) if (a[at] !== b[at]) return false;
  return true;
}
