/**
 * A save area in guest memory, read and written by dwords: directly where it is RAM, else by guest accesses. At most two pages.
 * `open` takes all faults; nothing else here does, so that state changes only after it.
 */
import type { X86Cpu } from '../cpu.ts';
import { linearAt, probe } from './address.ts';

const PAGE_WORDS = 1024;

export class StateArea {
  /** Image of the area: what `read` has fetched, what `write` is to store. */
  readonly words = new Uint32Array(PAGE_WORDS);
  readonly #cpu: X86Cpu;
  #linear = 0;
  /** Words in the first page; index into `cpu.u32` of the area's first word in either page, or -1. */
  #split = 0;
  #first = -1;
  #second = -1;

  constructor(cpu: X86Cpu) {
    this.#cpu = cpu;
  }

  /** Linear address, a multiple of 4, of `bytes` bytes that will be accessed (access 0 read, 1 write). */
  open(linear: number, bytes: number, access: number, stack: boolean): void {
    const cpu = this.#cpu;
    probe(cpu, linear, bytes, access, stack);
    this.#linear = linear;
    this.#split = (0x1000 - (linear & 0xfff)) >> 2;
    const p = cpu.host.pointer(linear, access, cpu.user);
    this.#first = p < 0 || (p & 3) !== 0 ? -1 : p >>> 2;
    this.#second = -1;
    if (bytes <= 4 * this.#split) return;
    const q = cpu.host.pointer(linearAt(cpu, linear, 4 * this.#split), access, cpu.user);
    this.#second = q < 0 || (q & 3) !== 0 ? -1 : q >>> 2;
  }
  /** Index of word n in `cpu.u32`, or -1. */
  #index(n: number): number {
    if (n < this.#split) return this.#first < 0 ? -1 : this.#first + n;
    return this.#second < 0 ? -1 : this.#second + n - this.#split;
  }
  /** Fetch words [from, to). */
  read(from: number, to: number): void {
    const cpu = this.#cpu;
    for (let n = from; n < to; n++) {
      const k = this.#index(n);
      this.words[n] = k >= 0 ? cpu.u32[k]! : cpu.read32(linearAt(cpu, this.#linear, 4 * n));
    }
  }
  /** Store words [from, to). */
  write(from: number, to: number): void {
    const cpu = this.#cpu;
    for (let n = from; n < to; n++) {
      const k = this.#index(n);
      if (k >= 0) cpu.u32[k] = this.words[n]!;
      else cpu.write32(linearAt(cpu, this.#linear, 4 * n), this.words[n]!);
    }
  }
}
