/**
 * System instructions of 64-bit processors as programs meet them: what a program may do, what CR4 allows it, and the exception that
 * it gets otherwise. In both tiers. SDM Vol. 2A to 2D, pages by mnemonic: "Protected Mode Exceptions", "64-Bit Mode Exceptions".
 */
import { LongBench } from '@emkit/cpu-testbed';
import { EAX, ECX, EDX, ENV } from '@emkit/x86';
import { describe, expect, it } from 'vitest';

const CODE = 0x400000;
const DATA = 0x500000;
const MISSING = 0x600000;
const EBX = 3;
const INT3 = 0xcc;

const UD = [6, -1];
const GP = [13, 0];
/** Ends at the INT3 behind it. */
const DONE = [3, -1];
/** User read and write of a page that is not there. */
const NO_PAGE_READ = [14, 4];
const NO_PAGE_WRITE = [14, 6];

const CR4 = { TSD: 1 << 2, UMIP: 1 << 11, FSGSBASE: 1 << 16, OSXSAVE: 1 << 18, PKE: 1 << 22 } as const;

interface Setup {
  /** Bits of CR4 that are set, and cleared. */
  readonly set?: number;
  readonly clear?: number;
  readonly ebx?: number;
  readonly ecx?: number;
  readonly eax?: number;
  readonly edx?: number;
  readonly cpu?: string;
}

type Tier = 'cold' | 'hot';

/** Benches by tier and processor, with the physical address of the code page. */
const benches = new Map<string, readonly [LongBench, number]>();
function benchOf(tier: Tier, cpu: string): readonly [LongBench, number] {
  const key = `${tier} ${cpu}`;
  const known = benches.get(key);
  if (known !== undefined) return known;
  const bench = new LongBench({ tier, cpu });
  bench.protectedMode();
  const made = [bench, bench.map(CODE)] as const;
  bench.map(DATA);
  benches.set(key, made);
  return made;
}

/** Runs the instruction at CPL 3, in 64-bit code, with RBX at a data page. */
function run(tier: Tier, code: readonly number[], s: Setup = {}): { stop: readonly number[]; bench: LongBench } {
  const [bench, at] = benchOf(tier, s.cpu ?? 'max');
  bench.poke(at, [...code, INT3]);
  bench.enterUser();
  const { cpu } = bench;
  cpu.setCrRaw(4, (cpu.cr(4) | (s.set ?? 0)) & ~(s.clear ?? 0));
  cpu.setEnv32(ENV.MSR_TSC_AUX, 0x1234);
  cpu.setReg(EBX, s.ebx ?? DATA);
  cpu.setReg64(ECX, s.ecx ?? 0, 0);
  cpu.setReg64(EAX, s.eax ?? 0, 0x55555555);
  cpu.setReg64(EDX, s.edx ?? 0, 0);
  cpu.rip = CODE;
  cpu.updateHflags();
  if (tier === 'hot') bench.compile();
  const stop = bench.runToStop();
  return { stop: stop === null ? [] : [stop.vector, stop.error], bench };
}

const MEM = 0x03; // modrm of [rbx] with reg 0
const mem = (reg: number): number => MEM | (reg << 3);
const REX_W = 0x48;

describe.each(['cold', 'hot'] as const)('%s', (tier) => {
  it.each<[string, number[], Setup, number[]]>([
    ['SGDT', [0x0f, 0x01, mem(0)], {}, DONE],
    ['SIDT', [0x0f, 0x01, mem(1)], {}, DONE],
    ['SLDT', [0x0f, 0x00, 0xc0], {}, DONE],
    ['STR', [0x0f, 0x00, 0xc8], {}, DONE],
    ['SMSW', [0x0f, 0x01, 0xe0], {}, DONE],
    ['SGDT under UMIP', [0x0f, 0x01, mem(0)], { set: CR4.UMIP }, GP],
    ['SIDT under UMIP', [0x0f, 0x01, mem(1)], { set: CR4.UMIP }, GP],
    ['SLDT under UMIP', [0x0f, 0x00, 0xc0], { set: CR4.UMIP }, GP],
    ['STR under UMIP', [0x0f, 0x00, 0xc8], { set: CR4.UMIP }, GP],
    ['SMSW under UMIP', [0x0f, 0x01, 0xe0], { set: CR4.UMIP }, GP],
    ['LAR under UMIP', [0x0f, 0x02, 0xc0], { set: CR4.UMIP }, DONE],
    ['RDTSC', [0x0f, 0x31], {}, DONE],
    ['RDTSC under TSD', [0x0f, 0x31], { set: CR4.TSD }, GP],
    ['RDTSCP under TSD', [0x0f, 0x01, 0xf9], { set: CR4.TSD }, GP],
    ['RDFSBASE', [0xf3, REX_W, 0x0f, 0xae, 0xc0], { set: CR4.FSGSBASE }, DONE],
    ['RDFSBASE without CR4.FSGSBASE', [0xf3, REX_W, 0x0f, 0xae, 0xc0], {}, UD],
    ['WRGSBASE without CR4.FSGSBASE', [0xf3, REX_W, 0x0f, 0xae, 0xd8], {}, UD],
    ['WRGSBASE, not canonical', [0xf3, REX_W, 0x0f, 0xae, 0xd8], { set: CR4.FSGSBASE }, GP],
    ['XGETBV of XCR0', [0x0f, 0x01, 0xd0], {}, DONE],
    ['XGETBV of what is in use', [0x0f, 0x01, 0xd0], { ecx: 1 }, DONE],
    ['XGETBV of another', [0x0f, 0x01, 0xd0], { ecx: 2 }, GP],
    ['XGETBV without OSXSAVE', [0x0f, 0x01, 0xd0], { clear: CR4.OSXSAVE }, UD],
    ['XGETBV(1) of a model without', [0x0f, 0x01, 0xd0], { ecx: 1, cpu: 'max,-xgetbv1' }, GP],
    ['XSETBV', [0x0f, 0x01, 0xd1], { eax: 7 }, GP],
    ['XSAVE', [0x0f, 0xae, mem(4)], { eax: 7 }, DONE],
    ['XSAVE without OSXSAVE', [0x0f, 0xae, mem(4)], { eax: 7, clear: CR4.OSXSAVE }, UD],
    ['XSAVE, not aligned', [0x0f, 0xae, mem(4)], { eax: 7, ebx: DATA + 16 }, GP],
    ['XSAVE of a missing page', [0x0f, 0xae, mem(4)], { eax: 7, ebx: MISSING }, NO_PAGE_WRITE],
    ['XSAVEC', [0x0f, 0xc7, mem(4)], { eax: 7 }, DONE],
    ['XSAVEOPT', [0x0f, 0xae, mem(6)], { eax: 7 }, DONE],
    ['XSAVES', [0x0f, 0xc7, mem(5)], { eax: 7 }, GP],
    ['XRSTORS', [0x0f, 0xc7, mem(3)], { eax: 7 }, GP],
    ['XSAVEC of a model without', [0x0f, 0xc7, mem(4)], { eax: 7, cpu: 'max,-xsavec' }, UD],
    ['RDPKRU', [0x0f, 0x01, 0xee], { set: CR4.PKE }, DONE],
    ['RDPKRU without PKE', [0x0f, 0x01, 0xee], {}, UD],
    ['RDPKRU with ECX', [0x0f, 0x01, 0xee], { set: CR4.PKE, ecx: 1 }, GP],
    ['WRPKRU with EDX', [0x0f, 0x01, 0xef], { set: CR4.PKE, edx: 1 }, GP],
    ['STAC', [0x0f, 0x01, 0xcb], {}, UD],
    ['CLAC', [0x0f, 0x01, 0xca], {}, UD],
    ['SWAPGS', [0x0f, 0x01, 0xf8], {}, GP],
    ['INVPCID', [0x66, 0x0f, 0x38, 0x82, mem(0)], {}, GP],
    ['INVLPG', [0x0f, 0x01, mem(7)], {}, GP],
    ['MONITOR', [0x0f, 0x01, 0xc8], {}, UD],
    ['MWAIT', [0x0f, 0x01, 0xc9], {}, UD],
    ['RDMSR', [0x0f, 0x32], { ecx: 0x802 }, GP],
    ['SYSRET', [REX_W, 0x0f, 0x07], {}, GP],
    ['MOV to CR8', [0x44, 0x0f, 0x22, 0xc0], {}, GP],
    ['MOV from CR8', [0x44, 0x0f, 0x20, 0xc0], {}, GP],
    ['CLFLUSHOPT', [0x66, 0x0f, 0xae, mem(7)], {}, DONE],
    ['CLFLUSHOPT of a missing page', [0x66, 0x0f, 0xae, mem(7)], { ebx: MISSING }, NO_PAGE_READ],
    ['CLWB of a missing page', [0x66, 0x0f, 0xae, mem(6)], { ebx: MISSING }, NO_PAGE_READ],
    ['CMPXCHG16B, not aligned', [REX_W, 0x0f, 0xc7, mem(1)], { ebx: DATA + 8 }, GP],
    ['CMPXCHG16B of a model without', [REX_W, 0x0f, 0xc7, mem(1)], { cpu: 'max,-cx16' }, UD],
    ['LOCK CMPXCHG16B', [0xf0, REX_W, 0x0f, 0xc7, mem(1)], {}, DONE],
    ['LOCK ADD to memory', [0xf0, 0x01, mem(0)], {}, DONE],
    ['LOCK ADD to a register', [0xf0, 0x01, 0xc3], {}, UD],
    ['LOCK MOV', [0xf0, 0x89, mem(0)], {}, UD],
    ['RDPID', [0xf3, 0x0f, 0xc7, 0xf8], {}, DONE],
    ['RDPID of a model without', [0xf3, 0x0f, 0xc7, 0xf8], { cpu: 'max,-rdpid' }, UD],
    ['RDRAND of a model without', [0x0f, 0xc7, 0xf0], { cpu: 'max,-rdrand' }, UD],
    ['RDRAND to memory', [0x0f, 0xc7, mem(6)], {}, UD],
    ['MOVBE of a model without', [0x0f, 0x38, 0xf0, mem(0)], { cpu: 'max,-movbe' }, UD],
    ['POPCNT of a model without', [0xf3, 0x0f, 0xb8, 0xc3], { cpu: 'max,-popcnt' }, UD],
    ['ADCX of a model without', [0x66, 0x0f, 0x38, 0xf6, 0xc3], { cpu: 'max,-adx' }, UD],
    ['CRC32 of a model without', [0xf2, 0x0f, 0x38, 0xf1, 0xc3], { cpu: 'max,-sse4.2' }, UD],
    ['SYSCALL without SCE', [0x0f, 0x05], { cpu: 'max,-syscall' }, UD],
  ])('%s', (_, code, setup, expected) => {
    expect(run(tier, code, setup).stop).toEqual(expected);
  });

  it('RDTSCP and RDPID give TSC_AUX, with zeros above', () => {
    const { cpu } = run(tier, [0x0f, 0x01, 0xf9]).bench;
    expect([cpu.reg(ECX), cpu.regHigh(ECX), cpu.regHigh(EAX), cpu.regHigh(EDX)]).toEqual([0x1234, 0, 0, 0]);
    const other = run(tier, [0xf3, 0x0f, 0xc7, 0xf8]).bench.cpu;
    expect([other.reg(EAX), other.regHigh(EAX)]).toEqual([0x1234, 0]);
  });

  it('WRPKRU takes rights to pages of a key away, and gives them back', () => {
    const wrpkru = (v: number): number[] => [0xb8, v, 0, 0, 0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef];
    const load = [0x8b, mem(0)];
    const store = [0x89, mem(0)];
    // pages here have key 0: bits 0 and 1
    expect(run(tier, [...wrpkru(1), ...load], { set: CR4.PKE }).stop).toEqual([14, 0x25]);
    expect(run(tier, [...wrpkru(2), ...load], { set: CR4.PKE }).stop).toEqual(DONE);
    expect(run(tier, [...wrpkru(2), ...store], { set: CR4.PKE }).stop).toEqual([14, 0x27]);
    expect(run(tier, [...wrpkru(1), ...wrpkru(0), ...store], { set: CR4.PKE }).stop).toEqual(DONE);
  });

  it('RDRAND without a source of random numbers says so: CF 0, result 0, other flags 0', () => {
    const { cpu } = run(tier, [0x31, 0xc0, 0xf9, REX_W, 0x0f, 0xc7, 0xf0]).bench; // xor eax, eax; stc
    expect([cpu.reg(EAX), cpu.regHigh(EAX)]).toEqual([0, 0]);
  });

  it('LOCK prefixes are obeyed: memory and flags as without', () => {
    const add = (prefix: number[]): unknown => {
      const { bench, stop } = run(tier, [0xc7, mem(0), 0xff, 0xff, 0xff, 0x7f, ...prefix, 0xff, mem(0), 0x9c, 0x58]); // mov [rbx], 7fffffff; inc; pushf; pop rax
      return [stop, bench.cpu.reg(EAX), bench.cpu.regHigh(EAX)];
    };
    expect(add([0xf0])).toEqual(add([]));
  });
});
