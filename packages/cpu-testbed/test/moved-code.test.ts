/** 64-bit code that knows where it is, run from blocks and regions that were made where it is mapped too: everything comes out as from an interpreter that translates it for each place. */
import { LongBench } from '@emkit/cpu-testbed';
import { ENV, ESP } from '@emkit/x86';
import fc from 'fast-check';
import { expect, it } from 'vitest';

/** A code page and a page of data behind it. */
const PLACES = [
  { low: 0x1000_0000, high: 0 },
  { low: 0x7ff1_3000, high: 0x5555 },
  { low: 0x3040_0000, high: 0x7f12 },
  { low: 0x0040_0000, high: 0 },
] as const;
/** Near to the border of a window code is not moved. */
const FIXED = PLACES[3];
const STACK = 0x3000_0000;
const DATA = 0x1000;
const INT3 = 0xcc;
const ROUNDS = 12;

const imm32 = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >> 24];
/** An instruction that ends in a displacement to an offset in the pages. */
const relative = (at: number, code: readonly number[], to: number): number[] => [
  ...code,
  ...imm32(to - at - code.length - 4),
];

/** Pieces of code, by what they do; each knows its offset in the page. Data lies at DATA + 8 * n. */
const PIECES: Readonly<Record<string, (at: number, n: number) => number[]>> = {
  'lea rax': (at, n) => relative(at, [0x48, 0x8d, 0x05], n * 8),
  'lea ebx of 32 bits': (at, n) => relative(at, [0x67, 0x8d, 0x1d], n * 8),
  load: (at, n) => relative(at, [0x48, 0x03, 0x0d], DATA + n * 8),
  store: (at, n) => relative(at, [0x48, 0x01, 0x05], DATA + n * 8),
  'two of a kind': (at, n) => [
    ...relative(at, [0x48, 0x89, 0x1d], DATA + n * 8),
    ...relative(at + 7, [0x48, 0x33, 0x15], DATA + n * 8 + 8),
  ],
  // call +0; pop rdx; add rsi, rdx
  'return address': () => [0xe8, 0, 0, 0, 0, 0x5a, 0x48, 0x01, 0xd6],
  // lea r8, [rip + 5]; call r8; jmp +4; add rdi, r8; ret
  'indirect call': () => [0x4c, 0x8d, 0x05, 5, 0, 0, 0, 0x41, 0xff, 0xd0, 0xeb, 4, 0x4c, 0x01, 0xc7, 0xc3],
  // lea r9, [rip + 5]; push r9; ret; int3; int3
  'return by hand': () => [0x4c, 0x8d, 0x0d, 5, 0, 0, 0, 0x41, 0x51, 0xc3, INT3, INT3],
  // test cl, 4; jz over a mov of the address
  branch: (at, n) => [0xf6, 0xc1, 4, 0x74, 7, ...relative(at + 5, [0x48, 0x8d, 0x05], n * 8)],
  // fninit; fld1; fstp st(0); fnstenv: where the last instruction was
  'x87 pointer': (at) => [0xdb, 0xe3, 0xd9, 0xe8, 0xdd, 0xd8, ...relative(at + 6, [0xd9, 0x35], DATA + 0x400)],
};

function program(choice: readonly (readonly [string, number])[]): number[] {
  // mov r15d, ROUNDS; then the pieces; dec r15d; jnz
  const code = [0x41, 0xbf, ...imm32(ROUNDS)];
  const loop = code.length;
  for (const [name, n] of choice) code.push(...PIECES[name](code.length, n));
  code.push(0x41, 0xff, 0xcf);
  code.push(...relative(code.length, [0x0f, 0x85], loop));
  return [...code, INT3];
}

interface Outcome {
  readonly vector: number | undefined;
  readonly registers: Uint8Array;
  readonly data: Uint8Array;
}

class Guest {
  readonly bench: LongBench;
  readonly #code: number;
  readonly #data: number;

  constructor(tier: 'cold' | 'hot', off: readonly string[] = []) {
    this.bench = new LongBench({ tier, optimisations: Object.fromEntries(off.map((name) => [name, false])) });
    this.bench.protectedMode();
    this.#code = this.bench.map(STACK + 0x10_0000);
    this.#data = this.bench.map(STACK + 0x10_1000);
    this.bench.map(STACK);
    for (const { low, high } of PLACES) {
      this.bench.alias(low, this.#code, high);
      this.bench.alias(low + DATA, this.#data, high);
    }
  }

  load(code: readonly number[]): void {
    this.bench.poke(this.#code, code);
  }

  run({ low, high }: { readonly low: number; readonly high: number }): Outcome {
    const { bench } = this;
    const { cpu } = bench;
    bench.poke(
      this.#data,
      Array.from({ length: 4096 }, (_, n) => (n * 37) & 0xff),
    );
    bench.enterUser();
    cpu.setReg(ESP, STACK + 0x800);
    cpu.eip = low;
    cpu.setEnv32(ENV.CS_BASE, high);
    cpu.updateHflags();
    const vector = bench.runToStop()?.vector;
    const { ram } = bench;
    return {
      vector,
      registers: cpu.e8.slice(ENV.GPR, ENV.GPR + 16 * 8),
      data: ram.slice(this.#data, this.#data + 4096),
    };
  }
}

const pieces = fc.array(fc.tuple(fc.constantFrom(...Object.keys(PIECES)), fc.nat({ max: 40 })), {
  minLength: 1,
  maxLength: 12,
});

it('agrees with the interpreter at every place', { timeout: 120_000 }, () => {
  const off = fc.subarray(['region-entries', 'tlb-groups', 'deferral', 'sharing', 'folding', 'indirect-targets']);
  let moved = 0;
  fc.assert(
    fc.property(pieces, fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, off), (choice, without) => {
      const code = program(choice);
      const alone = new Guest('cold', ['moved-code']);
      const cold = new Guest('cold', without);
      const hot = new Guest('hot', without);
      for (const guest of [alone, cold, hot]) guest.load(code);
      for (const place of PLACES) {
        const expected = alone.run(place);
        expect(expected.vector).toBe(3);
        const translated = cold.bench.tcg.blocks.stats.translated;
        for (let n = 0; n < 2; n++) expect(cold.run(place)).toEqual(expected);
        const { regions } = hot.bench.tcg.hot.stats;
        for (let n = 0; n < 3; n++) expect(hot.run(place)).toEqual(expected);
        if (place === PLACES[0] || place === FIXED) continue;
        expect(cold.bench.tcg.blocks.stats.translated).toBe(translated);
        if (hot.bench.tcg.hot.stats.regions === regions) moved++;
      }
      expect(hot.bench.tcg.hot.stats.moved).toBeGreaterThan(0);
    }),
    { numRuns: 60 },
  );
  // in most cases nothing at all was compiled at the second place
  expect(moved).toBeGreaterThan(40);
});
