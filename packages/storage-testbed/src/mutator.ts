/** Damages images, repeatably: fields to their extremes, bits, pieces moved, cut or grown. Says in words what it did. */
import type { Disk } from './disk.ts';
import { Random } from './random.ts';

/** Where a field stands, and its bytes. */
export interface Field {
  readonly offset: number;
  readonly size: 1 | 2 | 4 | 8;
}

export interface MutationHints {
  /** Offsets that matter: header fields, table entries. */
  readonly fields?: readonly Field[];
  /** Bytes from the start that are metadata; half of the blind mutations go there. @default 4096 */
  readonly head?: number;
  /** The image is text, or starts with text of this length: words and numbers in it are changed. */
  readonly text?: number;
}

const EXTREMES: readonly bigint[] = [
  0n,
  1n,
  2n,
  511n,
  512n,
  0x7fn,
  0x80n,
  0xffn,
  0xffffn,
  0x10000n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  2n ** 53n,
  2n ** 53n - 1n,
  2n ** 56n,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

export class Mutator {
  readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** One to four mutations. */
  mutate(disk: Disk, hints: MutationHints = {}): string {
    const count = this.random.pick([1, 1, 1, 2, 3, 4]);
    return Array.from({ length: count }, () => this.#one(disk, hints)).join('; ');
  }

  #one(disk: Disk, hints: MutationHints): string {
    const { random } = this;
    const { fields = [], text = 0, head = 4096 } = hints;
    if (disk.size === 0) return 'empty';
    const roll = random.below(100);
    if (text > 0 && roll < 50) return this.#word(disk, Math.min(text, disk.size));
    if (fields.length > 0 && roll < 60) return this.field(disk, random.pick(fields));
    const where = random.chance(60) ? Math.min(head, disk.size) : disk.size;
    if (roll < 75) {
      const size = random.pick([1, 2, 4, 8] as const);
      const offset = Math.floor(random.below(where) / size) * size;
      return this.field(disk, { offset, size });
    }
    if (roll < 85) return this.#flip(disk, random.below(where));
    if (roll < 93) return this.#splice(disk, where);
    if (roll < 97) {
      const size = random.chance(50) ? random.below(where) : random.below(disk.size);
      disk.resize(size);
      return `truncated to ${size}`;
    }
    const size = disk.size + random.pick([1, 511, 512, 65536]);
    disk.resize(size);
    return `grown to ${size}`;
  }

  /** An extreme value, a value near what is there, or an offset near the image's end. */
  field(disk: Disk, { offset, size }: Field): string {
    const { random } = this;
    const bytes = new Uint8Array(size);
    disk.get(offset, bytes);
    const isLittle = random.chance(50);
    const old = toNumber(bytes, isLittle);
    const near = [old + 1n, old - 1n, old * 2n, old << 8n, old ^ (1n << BigInt(random.below(size * 8)))];
    const end = BigInt(disk.size);
    const places = [end, end - 1n, end + 512n, (end / 65536n) * 65536n, BigInt(random.below(disk.size))];
    const value = random.pick([EXTREMES, EXTREMES, near, places].flat());
    fromNumber(bytes, value, isLittle);
    disk.put(offset, bytes);
    return `${size} bytes at ${offset} ${isLittle ? 'LE' : 'BE'} = 0x${toNumber(bytes, isLittle).toString(16)}`;
  }

  #flip(disk: Disk, offset: number): string {
    const byte = new Uint8Array(1);
    disk.get(offset, byte);
    const bit = this.random.below(8);
    byte[0] = (byte[0] as number) ^ (1 << bit);
    disk.put(offset, byte);
    return `bit ${bit} at ${offset} flipped`;
  }

  /** Copies a piece over another place: tables into tables, data into tables. */
  #splice(disk: Disk, where: number): string {
    const { random } = this;
    const unit = random.pick([4, 8, 64, 512, 4096]);
    const from = Math.floor(random.below(disk.size) / unit) * unit;
    const to = Math.floor(random.below(where) / unit) * unit;
    const bytes = new Uint8Array(Math.min(unit, disk.size - Math.max(from, to)));
    disk.get(from, bytes);
    disk.put(to, bytes);
    return `${bytes.length} bytes copied from ${from} to ${to}`;
  }

  #word(disk: Disk, length: number): string {
    const { random } = this;
    const bytes = new Uint8Array(length);
    disk.get(0, bytes);
    let text = '';
    for (const byte of bytes) text += String.fromCharCode(byte);
    const words = [...text.matchAll(/\d+|[A-Za-z]+|[="\s]/g)];
    const word = words[random.below(Math.max(1, words.length))];
    if (word === undefined) return 'no words';
    const fresh = /\d/.test(word[0])
      ? random.pick(EXTREMES).toString()
      : random.pick(['', 'A'.repeat(300), '"', '=', '\n', '\0', '../x', 'RW', `${word[0]}${word[0]}`]);
    const changed = text.slice(0, word.index) + fresh + text.slice(word.index + word[0].length);
    const out = Uint8Array.from(changed.slice(0, length).padEnd(length, '\0'), (c) => c.charCodeAt(0));
    disk.put(0, out);
    return `${JSON.stringify(word[0].slice(0, 20))} at ${word.index} = ${JSON.stringify(fresh.slice(0, 20))}`;
  }
}

function toNumber(bytes: Uint8Array, isLittle: boolean): bigint {
  let value = 0n;
  for (let i = 0; i < bytes.length; i++)
    value = (value << 8n) | BigInt(bytes[isLittle ? bytes.length - 1 - i : i] as number);
  return value;
}

function fromNumber(bytes: Uint8Array, number: bigint, isLittle: boolean): void {
  let value = BigInt.asUintN(bytes.length * 8, number);
  for (let i = 0; i < bytes.length; i++, value >>= 8n)
    bytes[isLittle ? i : bytes.length - 1 - i] = Number(value & 0xffn);
}
