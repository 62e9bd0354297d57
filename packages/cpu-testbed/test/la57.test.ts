/** Programs at 57-bit addresses, in both tiers: code, stack and data in areas that only five-level paging reaches. SDM Vol. 3A §4.5. */
import { LongBench } from '@emkit/cpu-testbed';
import { EAX, EBX, ECX, EDI, ENV, ESI, ESP } from '@emkit/x86';
import { describe, expect, it } from 'vitest';

const LA57 = 1 << 12;
const PML4 = 0x1000;
const PML5 = 0x7000;
const CODE = 0x40_0000;
const DATA = 0x40_1000;
const STACK = 0x40_2000;
/** High halves under which the same low addresses show. */
const PLACES = [0x0001_0000, 0x0040_0000, 0x00ff_0000];
const INT3 = 0xcc;
const GP = 13;
const PF = 14;

class FiveLevels extends LongBench {
  constructor(tier: 'cold' | 'hot', cpu = 'max,+la57') {
    super({ tier, cpu });
    this.protectedMode();
    for (const index of [0, 511, ...PLACES.map((high) => high >>> 16)]) this.poke32(PML5 + index * 8, PML4 | 0x27);
  }
  /** At CODE in the area of `high`, RSP in that of `stack`. */
  enter(high: number, stack = high): void {
    const { cpu } = this;
    this.enterUser();
    cpu.setCrRaw(3, PML5);
    cpu.setCrRaw(4, cpu.cr(4) | LA57);
    cpu.updateHflags();
    this.tcg.flushTlb(true);
    cpu.setRip(CODE, high);
    cpu.setReg64(ESP, STACK + 0x800, stack);
  }
  run(): readonly [vector: number, eip: number, eipHigh: number] {
    const stop = this.runToStop();
    if (stop === null) throw new Error('runs on');
    return [stop.vector, stop.eip >>> 0, stop.eipHigh >>> 0];
  }
}

describe.each(['cold', 'hot'] as const)('five-level paging, tier %s', (tier) => {
  it('calls, returns, RIP-relative data and pushes work in every area', () => {
    const bench = new FiveLevels(tier);
    // call f; add rax, [rip + data]; lea rbx, [rip - 16]; dec ecx; jnz start; int3; f: mov eax, 1; ret
    const code = [0xe8, 0x1a, 0, 0, 0, 0x48, 0x03, 0x05, 0xf4, 0x0f, 0, 0, 0x48, 0x8d, 0x1d, 0xed, 0xff, 0xff, 0xff];
    const rest = [0xff, 0xc9, 0x75, 0xe9, INT3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xb8, 1, 0, 0, 0, 0xc3];
    bench.poke(bench.map(CODE), [...code, ...rest]);
    const data = bench.map(DATA);
    const stack = bench.map(STACK);
    bench.poke32(data, 0x10);
    bench.poke32(data + 4, 0x20);
    for (const high of [...PLACES, ...PLACES, 0]) {
      for (const stackAt of PLACES) {
        bench.poke32(stack + 0x7fc, 0);
        bench.enter(high, stackAt);
        bench.cpu.setReg(ECX, 20);
        expect(bench.run()).toEqual([3, CODE + 24, high]);
        const { cpu } = bench;
        expect([cpu.reg(EAX), cpu.regHigh(EAX)]).toEqual([0x11, 0x20]);
        expect([cpu.reg(EBX), cpu.regHigh(EBX)]).toEqual([CODE, high]);
        expect(bench.peek32(stack + 0x7fc)).toBe(high);
      }
    }
  });
  it('page faults say where in CR2, all of it', () => {
    const bench = new FiveLevels(tier);
    bench.poke(bench.map(CODE), [0x8b, 0x03, INT3]); // mov eax, [rbx]
    for (const [low, high] of [
      [0x123, 0x00aa_bbcc],
      [0x456, 0xff55_0011],
      [0x7ffe, PLACES[0]!],
    ] as const) {
      bench.enter(PLACES[1]!);
      bench.cpu.setReg64(EBX, low, high);
      expect(bench.run()).toEqual([PF, CODE, PLACES[1]]);
      expect([bench.cpu.cr(2), bench.cpu.crHigh(2)]).toEqual([low, high]);
    }
  });
  it('what is not canonical is #GP: data, jump targets, accesses across the end of the lower half', () => {
    const bench = new FiveLevels(tier);
    bench.poke(bench.map(CODE), [0x8b, 0x03, INT3, 0x90, 0xff, 0xe3]); // mov eax, [rbx]; int3; jmp rbx
    for (const [low, high] of [
      [0, 0x0100_0000],
      [0, 0xfeff_ffff],
      [0, 0x7fff_ffff],
    ] as const) {
      for (const at of [0, 4]) {
        bench.enter(PLACES[0]!);
        bench.cpu.setRip(CODE + at, PLACES[0]!);
        bench.cpu.setReg64(EBX, low, high);
        expect(bench.run()).toEqual([GP, CODE + at, PLACES[0]]);
      }
    }
    bench.enter(0);
    bench.cpu.setReg64(EBX, 0xffff_fffe, 0x00ff_ffff);
    expect(bench.run()[0]).toBe(GP);
    bench.enter(0);
    bench.cpu.setReg64(EBX, 0, 0x0000_8000); // canonical here, and not mapped
    expect(bench.run()[0]).toBe(PF);
  });
  it('repeated strings run from one area to another, and FS adds its base to what no double holds', () => {
    const bench = new FiveLevels(tier);
    // rep movsb; mov rax, fs:[rbx]; int3
    bench.poke(bench.map(CODE), [0xf3, 0xa4, 0x64, 0x48, 0x8b, 0x03, INT3]);
    const data = bench.map(DATA);
    const stack = bench.map(STACK);
    bench.poke(data, [1, 2, 3, 4, 5, 6, 7, 8]);
    bench.enter(PLACES[2]!);
    const { cpu } = bench;
    cpu.setReg64(ESI, DATA, PLACES[0]!);
    cpu.setReg64(EDI, STACK + 0x10, PLACES[1]!);
    cpu.setReg(ECX, 8);
    cpu.setSegBase(4, 0x18, 0x0055_1234);
    cpu.setReg64(EBX, STACK - 8, PLACES[2]! - 0x0055_1234);
    expect(bench.run()).toEqual([3, CODE + 7, PLACES[2]]);
    expect([bench.peek32(stack + 0x10), bench.peek32(stack + 0x14)]).toEqual([0x04030201, 0x08070605]);
    expect([cpu.reg(ESI), cpu.regHigh(ESI)]).toEqual([DATA + 8, PLACES[0]]);
    expect([cpu.reg(EDI), cpu.regHigh(EDI)]).toEqual([STACK + 0x18, PLACES[1]]);
    expect([cpu.reg(EAX), cpu.regHigh(EAX)]).toEqual([0x04030201, 0x08070605]);
  });
  it('an access runs across the border of two areas of 16 TiB', () => {
    const bench = new FiveLevels(tier);
    // mov [rbx], rax; xor eax, eax; mov rax, [rbx]; int3
    bench.poke(bench.map(CODE), [0x48, 0x89, 0x03, 0x31, 0xc0, 0x48, 0x8b, 0x03, INT3]);
    // the last page of the area below, the first of the next: bits 47:12 of both
    const below = bench.mapAt(0xffff_f000, 0x0fff);
    const above = bench.mapAt(0, 0x1000);
    for (const high of [0x0001_0000, 0x0040_0000]) {
      bench.enter(high);
      const { cpu } = bench;
      cpu.setReg64(EBX, 0xffff_fffd, high | 0x0fff);
      cpu.setReg64(EAX, 0x44332211, 0x88776655);
      expect(bench.run()).toEqual([3, CODE + 9, high]);
      expect([cpu.reg(EAX), cpu.regHigh(EAX)]).toEqual([0x44332211, 0x88776655]);
      expect(bench.peek32(below + 0xffc) >>> 8).toBe(0x332211);
      expect(bench.peek32(above)).toBe(0x77665544);
    }
  });
  it('many areas, more than there are numbers for at a time', () => {
    const bench = new FiveLevels(tier);
    for (let index = 1; index < 255; index++) bench.poke32(PML5 + index * 8, PML4 | 0x27);
    // l: mov eax, [rbx]; add rsi, rax; add rbx, rdi; dec ecx; jnz l; int3
    bench.poke(bench.map(CODE), [0x8b, 0x03, 0x48, 0x01, 0xc6, 0x48, 0x01, 0xfb, 0xff, 0xc9, 0x75, 0xf4, INT3]);
    bench.poke32(bench.map(DATA), 3);
    for (let index = 32; index < 512; index += 32) bench.poke32(PML4 + index * 8, bench.peek32(PML4));
    bench.enter(PLACES[0]!);
    const { cpu } = bench;
    cpu.setReg64(EBX, DATA, 0);
    cpu.setReg64(EDI, 0, 0x1000);
    cpu.setReg64(ESI, 0, 0);
    cpu.setReg(ECX, 1000);
    expect(bench.run()).toEqual([3, CODE + 13, PLACES[0]]);
    expect(cpu.reg(ESI)).toBe(3000);
    expect(cpu.env32(ENV.CR + 32) & LA57).toBe(LA57);
  });
});
