import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LA57_MODEL, LONG_MODEL, type LongBench, longBench } from '../../test/long-bench.ts';
import { parseCpuOption } from '../models/cpu-option.ts';
import { F_LM } from '../models/features.ts';
import { referenceWalk4 } from '../../test/reference-walk-4.ts';
import { ENV, FLAG_AC } from '../state.ts';
import { setAccess, wrpkru } from './extended-control.ts';
import { invlpg, invpcid } from './control-registers.ts';

const PG = 0x80000001;
const WP = 1 << 16;
const PAE = 1 << 5;
const PGE = 1 << 7;
const LA57 = 1 << 12;
const SMEP = 1 << 20;
const SMAP = 1 << 21;
const PKE = 1 << 22;

/** Tables at 20000H: one page each for PML4, PDPT, PD, PT. */
function paging(cr4: number, model = LONG_MODEL): LongBench {
  const b = longBench(model);
  b.cpu.setCrRaw(4, PAE | cr4);
  b.cpu.setCrRaw(3, 0x20000);
  b.w32(0x20000, 0x21007);
  b.w32(0x21000, 0x22007);
  b.w32(0x22000, 0x23007);
  return b;
}

describe('four-level walks', () => {
  it('set accessed bits of all levels, dirty on writes, and allow writes only once dirty', () => {
    const b = paging(0);
    b.w32(0x23000 + 5 * 8, 0x8007);
    expect(b.cpu.walk(0x5123, 0, true)).toBe(true);
    expect([b.cpu.walkPhys, b.cpu.walkProt, b.cpu.walkPageBits]).toEqual([0x8123, 5, 12]);
    expect([0x20000, 0x21000, 0x22000, 0x23028].map((a) => b.r32(a) & 0x60)).toEqual([0x20, 0x20, 0x20, 0x20]);
    b.cpu.walk(0x5123, 1, true);
    expect([b.cpu.walkProt, b.r32(0x23028)]).toEqual([7, 0x8067]);
  });
  it('take addresses of the upper half, and physical ones above 4 GiB', () => {
    const b = paging(0);
    b.w32(0x20000 + 511 * 8, 0x21007);
    b.w32(0x21000 + 511 * 8, 0x22007);
    b.w32(0x22000 + 511 * 8, 0x23007);
    b.w32(0x23000 + 511 * 8, 0x8007);
    b.w32(0x23000 + 511 * 8 + 4, 0xab);
    expect(b.cpu.walk(-1, 0, false)).toBe(true);
    expect(b.cpu.walkPhys).toBe(0xab * 2 ** 32 + 0x8fff);
    expect(b.cpu.debugTranslate(-0x1000)).toBe(0xab * 2 ** 32 + 0x8000);
    expect(b.cpu.debugTranslate(-0x2000)).toBe(-1);
  });
  it('map 2M and 1G pages; 1G only where CPUID has it', () => {
    const b = paging(PGE);
    b.w32(0x22000 + 8, 0x00c001e7);
    b.w32(0x21000 + 8, 0x400001e7);
    b.w32(0x21000 + 12, 3);
    expect(b.cpu.walk(0x345678, 1, true)).toBe(true);
    expect([b.cpu.walkPhys, b.cpu.walkPageBits, b.cpu.walkGlobal]).toEqual([0xd45678, 21, true]);
    expect(b.cpu.walk(0x7fffffff, 1, true)).toBe(true);
    expect([b.cpu.walkPhys, b.cpu.walkPageBits]).toEqual([3 * 2 ** 32 + 0x7fffffff, 30]);
    const max = parseCpuOption('max');
    const model = { ...max, features: { ...max.features, edxExt: F_LM } };
    const c = paging(0, model);
    c.w32(0x21000 + 8, 0x400001e7);
    expect([c.cpu.walk(0x7fffffff, 0, true), c.cpu.faultError]).toEqual([false, 0xd]);
  });
});

describe('random tables against the reference walker', () => {
  const entry = fc.record({
    frame: fc.nat(15),
    flags: fc.constantFrom(0, 1, 3, 5, 7, 7, 7, 0x27, 0x67, 0x87, 0xe7, 0x187, 0x1e7, 0x107),
    odd: fc.nat(40),
    high: fc.nat(30),
    key: fc.nat(3),
  });
  const setup = fc.record({
    entries: fc.array(entry, { minLength: 64, maxLength: 64 }),
    cr0: fc.constantFrom(PG, PG | WP),
    cr4: fc.constantFrom(0, PGE, SMEP, SMAP, SMEP | SMAP, PKE, PKE | SMAP, PGE | SMEP | SMAP | PKE),
    efer: fc.constantFrom(0x501, 0xd01),
    ac: fc.boolean(),
    cpl: fc.constantFrom(0, 3),
    pkru: fc.integer(),
    probes: fc.array(
      fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(7), fc.nat(4095), fc.nat(2), fc.boolean(), fc.boolean()),
      { minLength: 12, maxLength: 12 },
    ),
  });
  it.each([4, 5])('agrees in result, rights, fault code and table bytes, %i levels', (levels) => {
    fc.assert(
      fc.property(setup, (s) => {
        const make = (): LongBench => {
          const b = longBench(levels === 5 ? LA57_MODEL : LONG_MODEL);
          if (s.cpl === 3) b.toUser();
          b.cpu.setCrRaw(0, s.cr0);
          b.cpu.setCrRaw(4, s.cr4 | PAE | (levels === 5 ? LA57 : 0));
          b.cpu.updateHflags();
          b.cpu.setCrRaw(3, 0x1000);
          b.cpu.setEnv32(ENV.MSR_EFER, s.efer);
          b.cpu.setEnv32(ENV.PKRU, s.pkru);
          b.cpu.ei32[ENV.EFLAGS >> 2] = s.ac ? FLAG_AC | 2 : 2;
          s.entries.forEach((e, i) => {
            const at = 0x1000 * (1 + (i >> 3)) + (i & 7) * 8;
            const odd = e.odd === 0 ? 0x200000 : e.odd === 1 ? 0x2000 : e.odd === 2 ? 0x20000000 : 0;
            const high =
              e.high === 0 ? 0x80000000 : e.high === 1 ? 0x100 : e.high === 2 ? 0xf0 : e.high === 3 ? 1 << 20 : 0;
            b.w32(at, (e.frame << 12) | e.flags | odd);
            b.w32(at + 4, high | (e.key << 27));
            b.w32(at + 4096 - 64, b.r32(at));
            b.w32(at + 4096 - 60, b.r32(at + 4));
          });
          return b;
        };
        const ours = make();
        const theirs = make();
        for (const [i4, i3, i2, i1, offset, access, user, high] of s.probes) {
          const lower = i4 * 2 ** 39 + i3 * 2 ** 30 + i2 * 2 ** 21 + i1 * 4096 + offset;
          // the fifth index is one of the others again
          const low = BigInt(lower) + (levels === 5 ? BigInt(i1 & 3) << 48n : 0n);
          const address = high ? -1n - low : low;
          const { cpu } = ours;
          const lin = cpu.linear.of(Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
          const expected = referenceWalk4(theirs, address, access, user);
          const got = cpu.walk(lin, access, user)
            ? { phys: cpu.walkPhys, prot: cpu.walkProt, bits: cpu.walkPageBits, global: cpu.walkGlobal }
            : { fault: cpu.faultError };
          expect(got).toEqual(expected);
        }
        expect(checksum(ours)).toEqual(checksum(theirs));
      }),
      { numRuns: 1000, seed: 4 },
    );
  });
});
/** A checksum of the table pages. */
function checksum(b: LongBench): number {
  let sum = 0;
  for (let at = 0x1000; at < 0x11000; at += 4) sum = (Math.imul(sum, 31) + b.r32(at)) | 0;
  return sum;
}

describe('SMAP', () => {
  it('user pages reached under AC leave the TLB when AC is cleared, and only those', () => {
    const b = paging(SMAP);
    b.w32(0x23000 + 5 * 8, 0x8067);
    b.w32(0x23000 + 6 * 8, 0x9063);
    expect([b.cpu.walk(0x5000, 0, false), b.cpu.faultError]).toEqual([false, 1]);
    setAccess(b.cpu, true);
    expect(b.cpu.walk(0x5123, 1, false)).toBe(true);
    expect(b.cpu.walk(0x5456, 0, false)).toBe(true);
    expect(b.cpu.walk(0x6000, 0, false)).toBe(true);
    expect(b.host.forgotten).toEqual([]);
    setAccess(b.cpu, false);
    expect([b.host.forgotten, b.host.flushes]).toEqual([[0x5000], []]);
    setAccess(b.cpu, false);
    expect(b.host.forgotten).toEqual([0x5000]);
  });
  it('more pages than the list holds flush everything', () => {
    const b = paging(SMAP);
    for (let i = 0; i < 100; i++) b.w32(0x23000 + i * 8, 0x8067);
    setAccess(b.cpu, true);
    for (let i = 0; i < 100; i++) b.cpu.walk(i * 4096, 0, false);
    setAccess(b.cpu, false);
    expect([b.host.forgotten, b.host.flushes]).toEqual([[], ['all']]);
  });
  it('AC does not help a program reach tables in user pages', () => {
    const b = paging(SMAP);
    b.w32(0x23000 + 5 * 8, 0x8067);
    b.toUser();
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_AC;
    expect([b.cpu.walk(0x5000, 0, false), b.cpu.walk(0x5000, 0, true)]).toEqual([false, true]);
  });
});

describe('flushes', () => {
  it('a changed PKRU flushes, the same value does not', () => {
    const b = paging(PKE);
    b.cpu.setReg(1, 0);
    b.cpu.setReg(2, 0);
    b.cpu.setReg(0, 0x55555554);
    wrpkru(b.cpu);
    wrpkru(b.cpu);
    expect([b.host.flushes, b.cpu.env32(ENV.PKRU)]).toEqual([['all'], 0x55555554]);
    b.cpu.setReg(2, 1);
    expect(b.try(() => wrpkru(b.cpu))).toEqual({ vector: 13, error: 0 });
  });
  it('INVLPG takes 64-bit addresses and ignores what is not canonical', () => {
    const b = paging(0);
    invlpg(b.cpu, 0x80005000, 0xffffffff);
    invlpg(b.cpu, 0x5000, 0x8000);
    expect(b.host.flushes).toEqual(['page -7fffb000']);
  });
  it('INVPCID: one address, one context, everything, everything but global', () => {
    const b = paging(0);
    b.cpu.setEnv64(ENV.SCRATCH, 0, 0);
    b.cpu.setEnv64(ENV.SCRATCH + 8, 0x80005000, 0xffffffff);
    for (const type of [0, 1, 2, 3]) invpcid(b.cpu, type, 0);
    expect(b.host.flushes).toEqual(['page -7fffb000', 'local', 'all', 'local']);
    expect(b.try(() => void invpcid(b.cpu, 4, 0))).toEqual({ vector: 13, error: 0 });
    b.cpu.setEnv64(ENV.SCRATCH + 8, 0, 0x8000);
    expect(b.try(() => void invpcid(b.cpu, 0, 0))).toEqual({ vector: 13, error: 0 });
    b.cpu.setEnv64(ENV.SCRATCH, 1, 0);
    expect(b.try(() => void invpcid(b.cpu, 1, 0))).toEqual({ vector: 13, error: 0 });
    b.cpu.setEnv64(ENV.SCRATCH, 0x1000, 0);
    expect(b.try(() => void invpcid(b.cpu, 2, 0))).toEqual({ vector: 13, error: 0 });
  });
});
