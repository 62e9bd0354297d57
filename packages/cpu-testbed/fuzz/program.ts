/**
 * A random program: straight code with forward branches, loops that count down in memory, functions and calls, indirect
 * jumps, and stores into the program itself. Every loop has an end unless the program overwrites its counter.
 *
 * A program is a list of items with labels, so that items can be emptied (shrinking) while branches keep their targets.
 */
import { disassemble } from '@emkit/x86';
import { little, moveImmediate, randomInstructions } from './instruction.ts';
import type { CodeContext, Flavour } from './instruction.ts';
import type { Random } from './random.ts';

interface Fixup {
  /** Byte of the item where the value goes, and its size. */
  readonly at: number;
  readonly size: number;
  readonly kind: 'relative' | 'absolute';
  readonly label: number;
  readonly add: number;
}

export interface Item {
  readonly bytes: readonly number[];
  readonly fixup?: Fixup;
}

export interface Program {
  readonly bits: 16 | 32;
  readonly items: readonly Item[];
  /** Label -> item index. */
  readonly labels: readonly number[];
}

const MAX_ITEMS = 120;

export function randomProgram(r: Random, c: CodeContext): Program {
  const builder = new ProgramBuilder(r, c);
  builder.sequence(2 + r.int(r.pick([4, 12, 30])), 0);
  builder.plain([0xf4]);
  return { bits: c.bits, items: builder.items, labels: builder.labels };
}

class ProgramBuilder {
  readonly items: Item[] = [];
  readonly labels: number[] = [];
  readonly #r: Random;
  readonly #c: CodeContext;
  readonly #word: number;
  readonly #flavour: Flavour;
  readonly #functions: number[] = [];
  #counters = 0;

  constructor(r: Random, c: CodeContext) {
    this.#r = r;
    this.#c = c;
    this.#word = c.bits / 8;
    this.#flavour = r.pick(['integer', 'integer', 'x87', 'simd']);
  }

  plain(bytes: readonly number[]): void {
    this.items.push({ bytes });
  }

  #label(): number {
    this.labels.push(-1);
    return this.labels.length - 1;
  }
  #place(label: number): void {
    this.labels[label] = this.items.length;
  }

  #branch(opcode: readonly number[], label: number): void {
    this.items.push({
      bytes: [...opcode, ...little(0, this.#word)],
      fixup: { at: opcode.length, size: this.#word, kind: 'relative', label, add: 0 },
    });
  }

  sequence(count: number, depth: number): void {
    const r = this.#r;
    for (let n = 0; n < count && this.items.length < MAX_ITEMS; n++) {
      const roll = r.int(100);
      if (roll < 8) this.#forward(depth);
      else if (roll < 15 && depth < 2) this.#loop(depth);
      else if (roll < 18 && depth === 0) this.#function();
      else if (roll < 21 && this.#functions.length > 0) this.#branch([0xe8], r.pick(this.#functions));
      else if (roll < 24) this.#indirect(depth);
      else if (roll < 27) this.#patch();
      else for (const bytes of randomInstructions(r, this.#c, this.#flavour)) this.plain(bytes);
    }
  }

  /** A branch over a few instructions. */
  #forward(depth: number): void {
    const r = this.#r;
    const over = this.#label();
    if (r.chance(20)) {
      // LOOPNE LOOPE LOOP JCXZ, Jcc short: eight bits reach as far as they reach
      const opcode = r.chance(50) ? 0xe0 + r.int(4) : 0x70 + r.int(16);
      this.items.push({ bytes: [opcode, 0], fixup: { at: 1, size: 1, kind: 'relative', label: over, add: 0 } });
    } else this.#branch(r.chance(85) ? [0x0f, 0x80 + r.int(16)] : [0xe9], over);
    this.sequence(1 + r.int(4), depth + 1);
    this.#place(over);
  }

  /** Counter in memory, so that every register is the body's. */
  #loop(depth: number): void {
    const r = this.#r;
    const at = this.#c.data + 0xfe00 + 16 * this.#counters++;
    const direct = this.#c.bits === 32 ? 5 : 6;
    const count = depth > 0 ? 2 + r.int(5) : r.pick([3, 5, 8, 20, 60]);
    this.plain([0xc7, direct, ...little(at, this.#word), ...little(count, this.#word)]);
    const top = this.#label();
    this.#place(top);
    this.sequence(1 + r.int(6), depth + 1);
    this.plain([0xff, 0x08 | direct, ...little(at, this.#word)]);
    this.#branch([0x0f, 0x85], top);
  }

  #function(): void {
    const over = this.#label();
    const entry = this.#label();
    this.#branch([0xe9], over);
    this.#place(entry);
    this.sequence(1 + this.#r.int(4), 1);
    this.plain([0xc3]);
    this.#place(over);
    this.#functions.push(entry);
  }

  /** MOV reg, label; JMP reg. */
  #indirect(depth: number): void {
    const r = this.#r;
    const over = this.#label();
    const reg = r.int(3);
    this.items.push({
      bytes: moveImmediate(this.#c, reg, 0),
      fixup: { at: 1, size: this.#word, kind: 'absolute', label: over, add: 0 },
    });
    this.plain([0xff, 0xe0 | reg]);
    this.sequence(r.int(2), depth + 1);
    this.#place(over);
  }

  /** FS: MOV byte [code], value. The victim comes soon after, or is an earlier instruction. */
  #patch(): void {
    const r = this.#r;
    const victim = this.#label();
    const direct = this.#c.bits === 32 ? 5 : 6;
    const earlier = r.chance(40) && this.items.length > 0;
    if (earlier) this.labels[victim] = r.int(this.items.length);
    const value = r.chance(60) ? r.int(256) : r.pick([0x90, 0x40, 0x41, 0x42, 0xf8, 0xf9, 0xf5]);
    const bytes = [0x64, 0xc6, direct, ...little(0, this.#word), value];
    this.items.push({ bytes, fixup: { at: 3, size: this.#word, kind: 'absolute', label: victim, add: r.int(4) } });
    if (earlier) return;
    if (r.chance(50)) for (const b of randomInstructions(r, this.#c, this.#flavour)) this.plain(b);
    this.#place(victim);
    this.plain(
      r.pick([
        [0x90, 0x90, 0x90, 0x90],
        [0xb0 + r.int(4), 1, 0x04, 1],
        [0x83, 0xc0, 1, 0x90],
        [0x40, 0x41, 0x42, 0x48],
      ]),
    );
  }
}

/** Bytes of the program when it starts at `origin` (offset in CS). */
export function assemble(p: Program, origin: number): Uint8Array {
  const offsets: number[] = [];
  let at = origin;
  for (const item of p.items) {
    offsets.push(at);
    at += item.bytes.length;
  }
  offsets.push(at);
  const out = new Uint8Array(at - origin);
  p.items.forEach((item, n) => {
    const start = offsets[n] - origin;
    out.set(item.bytes, start);
    const f = item.fixup;
    if (f === undefined || item.bytes.length === 0) return;
    const target = offsets[p.labels[f.label]] + f.add;
    const value = f.kind === 'absolute' ? target : target - offsets[n + 1];
    // an eight-bit distance that does not fit falls through
    const fits = f.size > 1 || (value >= -128 && value < 128);
    out.set(little(fits ? value : 0, f.size), start + f.at);
  });
  return out;
}

export function listing(p: Program, origin: number): string {
  const bytes = assemble(p, origin);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const insn = disassemble(bytes.subarray(at), origin + at, p.bits);
    const length = Math.max(1, insn.length);
    const raw = [...bytes.subarray(at, at + length)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    lines.push(`${(origin + at).toString(16).padStart(8, '0')}  ${raw.padEnd(30)} ${insn.text}`);
    at += length;
  }
  return lines.join('\n');
}
