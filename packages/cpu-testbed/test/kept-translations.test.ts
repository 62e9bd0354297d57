/** A processor that has the translations of an earlier one comes to the same state: registers, memory, and what the guest sees of its page tables. */
import { CpuBench, LongBench } from '@emkit/cpu-testbed';
import { EAX, EBX, ENV, ESP } from '@emkit/x86';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';

const CODE = 0x400000;
const FUNCTION = CODE + 4096;
const STACK = CODE + 8192;
/** Regions are compiled between slices. */
const SLICE = 5000;
const PRESENT = 1;
const ACCESSED = 0x20;
/**
 *   mov ecx, 10000
 *   loop: test ebx, ebx; jz skip; call FUNCTION
 *   skip: add eax, 3; dec ecx; jnz loop
 *   int3
 */
const LOOP = [
  ...[0xb9, 0x10, 0x27, 0, 0],
  ...[0x85, 0xdb, 0x74, 0x05, 0xe8, 0xf2, 0x0f, 0, 0],
  ...[0x83, 0xc0, 0x03, 0x83, 0xe9, 0x01, 0x75, 0xef],
  0xcc,
];
/** xor eax, 55H; ret */
const XOR = [0x83, 0xf0, 0x55, 0xc3];

interface Outcome {
  readonly eax: number;
  /** Of registers and memory. */
  readonly state: string;
  /** Has the page of the function been fetched from, as the guest sees it? */
  readonly accessed: boolean;
}

describe.each([
  ['32-bit code', CpuBench],
  ['64-bit code', LongBench],
] as const)('%s', (_width, Bench) => {
  type Machine = InstanceType<typeof Bench>;

  /** Physical address of the entry that maps the function. */
  let entry = 0;

  function machine(kept: Uint8Array | undefined, more: { optimisations?: { 'kept-blocks'?: boolean } } = {}): Machine {
    const bench = new Bench({ tier: 'auto', translations: { key: 'one', kept }, ...more });
    bench.protectedMode();
    bench.poke(bench.map(CODE), LOOP);
    const page = bench.map(FUNCTION);
    bench.poke(page, XOR);
    const words = new Int32Array(bench.ram.buffer, bench.ram.byteOffset, bench.ram.length >> 2);
    entry = words.findIndex((w) => (w & ~0xfff) === page && (w & (PRESENT | ACCESSED)) === (PRESENT | ACCESSED)) * 4;
    bench.poke32(entry, words[entry >> 2] & ~ACCESSED);
    bench.map(STACK);
    return bench;
  }

  /** Runs the loop, with the calls or without, and gives what the guest has then. */
  function run(bench: Machine, calls: boolean): Outcome {
    bench.enterUser();
    bench.cpu.eip = CODE;
    bench.cpu.setReg(ESP, STACK + 4096);
    bench.cpu.setReg(EAX, 0);
    bench.cpu.setReg(EBX, calls ? 1 : 0);
    bench.cpu.updateHflags();
    let stop = bench.runToStop(SLICE);
    for (let k = 0; k < 100 && stop === null; k++) stop = bench.runToStop(SLICE);
    expect(stop?.vector).toBe(3);
    const state = createHash('sha256').update(bench.ram).update(bench.cpu.e8.subarray(0, ENV.CC_OP)).digest('hex');
    return { eax: bench.cpu.reg(EAX) >>> 0, state, accessed: (bench.ram[entry] & ACCESSED) !== 0 };
  }

  const keptBy = (calls: boolean): Uint8Array => {
    const first = machine(undefined);
    run(first, calls);
    return first.tcg.keptTranslations()!;
  };

  it('nothing is translated again, and the state is that of a processor without', () => {
    const warm = machine(keptBy(true));
    expect(run(warm, true)).toEqual(run(machine(undefined), true));
    expect(warm.tcg.blocks.stats.translated).toBe(0);
    expect(warm.tcg.hot.stats.modules).toBeGreaterThan(0);
  });

  it('a page that the guest does not run is not marked as accessed, whatever the run before did there', () => {
    const warm = machine(keptBy(true));
    const outcome = run(warm, false);
    expect(outcome).toEqual(run(machine(undefined), false));
    expect(outcome.accessed).toBe(false);
    expect(run(warm, true).accessed).toBe(true);
  });

  it('a function that is rewritten after its block came back has its new meaning', () => {
    const warm = machine(keptBy(true));
    const first = run(warm, true);
    warm.poke(warm.map(FUNCTION), [0x83, 0xf0, 0x33, 0xc3]);
    const cold = machine(undefined);
    expect(run(cold, true).eax).toBe(first.eax);
    cold.poke(cold.map(FUNCTION), [0x83, 0xf0, 0x33, 0xc3]);
    const second = run(warm, true);
    expect(second).toEqual(run(cold, true));
    expect(second.eax).not.toBe(first.eax);
  });

  it('nothing is kept when kept-blocks is off', () => {
    const off = { optimisations: { 'kept-blocks': false } };
    const first = machine(undefined, off);
    const outcome = run(first, true);
    expect(first.tcg.keptTranslations()).toBeUndefined();
    const warm = machine(keptBy(true), off);
    expect(run(warm, true)).toEqual(outcome);
    expect(warm.tcg.blocks.saved).toBeUndefined();
    expect(warm.tcg.blocks.stats.translated).toBeGreaterThan(0);
  });
});
