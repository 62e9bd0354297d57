import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bench } from '../../test/fake-host.ts';
import { referenceWalk } from '../../test/reference-walk.ts';
import { ENV } from '../state.ts';
import { readPdptes } from './paging.ts';

const PG = 0x80000001;
const WP = 1 << 16;
const PSE = 1 << 4;
const PAE = 1 << 5;
const PGE = 1 << 7;
const NXE = 1 << 11;

function paging(cr0: number, cr4: number, efer = 0, cr3 = 0x1000, model = 'max,-lm'): Bench {
  const b = new Bench(model, 1 << 16);
  b.cpu.setCrRaw(0, cr0);
  b.cpu.setCrRaw(3, cr3);
  b.cpu.setCrRaw(4, cr4);
  b.cpu.setEnv32(ENV.MSR_EFER, efer);
  b.cpu.updateHflags();
  return b;
}

/** Offset of the first 32-bit word that differs; -1 when none does. */
function firstDifference(a: ArrayBuffer, b: ArrayBuffer): number {
  const [x, y] = [new Uint32Array(a), new Uint32Array(b)];
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return i * 4;
  return -1;
}

describe('without paging', () => {
  it('is the identity under the A20 mask', () => {
    const b = new Bench();
    expect(b.cpu.walk(0x123456, 1, true)).toBe(true);
    expect([b.cpu.walkPhys, b.cpu.walkProt, b.cpu.walkGlobal]).toEqual([0x123456, 7, false]);
    b.cpu.setA20(false);
    b.cpu.walk(0x123456, 0, false);
    expect(b.cpu.walkPhys).toBe(0x023456);
    expect(b.host.flushes).toEqual(['all']);
  });
});

describe('two-level walks', () => {
  it('sets accessed bits on reads, dirty on writes, and allows writes only once dirty', () => {
    const b = paging(PG, 0);
    b.w32(0x1000, 0x2007);
    b.w32(0x2000 + 5 * 4, 0x8007);
    expect(b.cpu.walk(0x5123, 0, true)).toBe(true);
    expect([b.cpu.walkPhys, b.cpu.walkProt, b.cpu.walkPageBits]).toEqual([0x8123, 1 | 4, 12]);
    expect([b.r32(0x1000), b.r32(0x2014)]).toEqual([0x2027, 0x8027]);
    expect(b.cpu.walk(0x5123, 1, true)).toBe(true);
    expect([b.cpu.walkProt, b.r32(0x2014)]).toEqual([7, 0x8067]);
  });
  it('leaves tables alone on a fault', () => {
    const b = paging(PG, 0);
    b.w32(0x1000, 0x2007);
    b.w32(0x2014, 0x8005);
    expect(b.cpu.walk(0x5123, 1, true)).toBe(false);
    expect(b.cpu.faultError).toBe(7);
    expect([b.r32(0x1000), b.r32(0x2014), b.cpu.cr(2)]).toEqual([0x2007, 0x8005, 0]);
  });
  it('maps 4M pages with PSE-36 addresses and the global bit', () => {
    const b = paging(PG, PSE | PGE);
    b.w32(0x1000 + 4 * 1, 0x00c00000 | (5 << 13) | 0x1e7);
    expect(b.cpu.walk(0x00512345, 1, true)).toBe(true);
    expect([b.cpu.walkPhys, b.cpu.walkPageBits, b.cpu.walkGlobal]).toEqual([5 * 2 ** 32 + 0xd12345, 22, true]);
  });
  it('debugTranslate changes nothing', () => {
    const b = paging(PG, 0);
    b.w32(0x1000, 0x2001);
    b.w32(0x2014, 0x8001);
    b.cpu.faultError = 99;
    expect(b.cpu.debugTranslate(0x5123)).toBe(0x8123);
    expect(b.cpu.debugTranslate(0x6123)).toBe(-1);
    expect([b.r32(0x1000), b.r32(0x2014), b.cpu.faultError]).toEqual([0x2001, 0x8001, 99]);
  });
});

describe('PAE', () => {
  it('refuses PDPTEs with reserved bits and keeps the old ones', () => {
    const b = paging(PG, PAE);
    b.w32(0x1000, 0x2001);
    expect(readPdptes(b.cpu, 0x1000)).toBe(true);
    b.w32(0x1000, 0x2003);
    expect(readPdptes(b.cpu, 0x1000)).toBe(false);
    expect(b.cpu.pdptes[0]).toBe(0x2001);
  });
  it('faults on fetch from NX pages with the I/D bit', () => {
    const b = paging(PG, PAE, NXE);
    b.w32(0x1000, 0x2001);
    b.w32(0x2000, 0x3007);
    b.w32(0x3000, 0x8007);
    b.w32(0x3004, 0x80000000);
    readPdptes(b.cpu, 0x1000);
    expect(b.cpu.walk(0x10, 2, true)).toBe(false);
    expect(b.cpu.faultError).toBe(0x15);
    expect(b.cpu.walk(0x10, 0, true)).toBe(true);
    expect(b.cpu.walkProt).toBe(1);
    b.cpu.setEnv32(ENV.MSR_EFER, 0);
    expect(b.cpu.walk(0x10, 2, true)).toBe(false);
    expect(b.cpu.faultError).toBe(0x0d); // XD is reserved without NXE, and there is no I/D bit
  });
});

describe('random tables against the reference walker', () => {
  // Frames stay below 64K so that walks meet each other's tables; flags are dense in interesting bits.
  const entry = fc.record({
    frame: fc.nat(15),
    flags: fc.constantFrom(0, 1, 3, 5, 7, 0x27, 0x67, 0x87, 0xe7, 0x187, 0x1e7, 0x107),
    odd: fc.nat(40),
    high: fc.nat(30),
  });
  const setup = fc.record({
    entries: fc.array(entry, { minLength: 64, maxLength: 64 }),
    cr0: fc.constantFrom(PG, PG | WP),
    cr4: fc.constantFrom(0, PSE, PSE | PGE, PAE, PAE | PGE, PAE | PSE),
    efer: fc.constantFrom(0, NXE),
    model: fc.constantFrom('max,-lm', 'pentium', 'pentium3'),
    probes: fc.array(fc.tuple(fc.nat(3), fc.nat(7), fc.nat(7), fc.nat(4095), fc.nat(2), fc.boolean()), {
      minLength: 12,
      maxLength: 12,
    }),
    a20: fc.boolean(),
  });
  it('agrees in result, rights, fault code and table bytes', () => {
    fc.assert(
      fc.property(setup, (s) => {
        const pae = (s.cr4 & PAE) !== 0;
        const make = (): Bench => {
          const b = paging(s.cr0, s.cr4, s.efer, 0x1000, s.model);
          if (!s.a20) b.cpu.setA20(false);
          // Tables 1-7: each holds 8 entries at its start and, for PAE, its upper halves.
          s.entries.forEach((e, i) => {
            const at = 0x1000 * (1 + (i >> 3)) + (i & 7) * (pae ? 8 : 4);
            const odd = e.odd === 0 ? 0x00200000 : e.odd === 1 ? 0x2000 : e.odd === 2 ? 0x20000 : 0;
            b.w32(at, (e.frame << 12) | e.flags | odd);
            if (pae) b.w32(at + 4, e.high === 0 ? 0x80000000 : e.high === 1 ? 0x10 : e.high === 2 ? 0x3 : 0);
          });
          if (pae) for (let i = 0; i < 4; i++) b.w32(0x1000 + 8 * i, b.r32(0x1000 + 8 * i) & 0xf001);
          if (pae) for (let i = 0; i < 4; i++) b.w32(0x1004 + 8 * i, 0);
          readPdptes(b.cpu, 0x1000);
          return b;
        };
        const ours = make();
        const theirs = make();
        for (const [top, mid, low, offset, access, user] of s.probes) {
          const lin =
            (pae ? top * 2 ** 30 + mid * 2 ** 21 + low * 4096 + offset : mid * 2 ** 22 + low * 4096 + offset) >>> 0;
          const expected = referenceWalk(theirs, lin, access, user);
          const ok = ours.cpu.walk(lin, access, user);
          const got = ok
            ? {
                phys: ours.cpu.walkPhys,
                prot: ours.cpu.walkProt,
                bits: ours.cpu.walkPageBits,
                global: ours.cpu.walkGlobal,
              }
            : { fault: ours.cpu.faultError };
          expect(got).toEqual(expected);
        }
        expect(firstDifference(ours.host.memory, theirs.host.memory)).toBe(-1);
      }),
      { numRuns: 1500, seed: 4 },
    );
  });
});
