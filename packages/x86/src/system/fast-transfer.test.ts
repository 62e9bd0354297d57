/**
 * The direct paths of interrupts, IRET and segment loads against the general ones: the same machine twice, one of them
 * with a host that has no plain RAM to point at. Registers, memory and exceptions must be the same after every step.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Bench,
  GDT,
  IDT,
  KCODE,
  KDATA,
  KSTACK,
  TSS,
  UCODE,
  UDATA,
  USTACK,
  gate,
  protectedBench,
  toUser,
} from '../../test/fake-host.ts';
import { DS, ENV, ES, ESP, FS, GS } from '../state.ts';
import { fastEnter, fastIret } from './fast-transfer.ts';
import { computeHflags } from './hflags.ts';
import { SYSTEM_HELPERS } from './index.ts';

const PAGE_TABLE = 0x21000;

/** Identity-mapped user pages, accessed descriptors, gates 0-31 with DPL 3. */
function machine(): Bench {
  const b = protectedBench();
  for (const at of [KCODE, KDATA, UCODE & ~3, UDATA & ~3]) b.w32(GDT + at + 4, b.r32(GDT + at + 4) | 0x100);
  for (let n = 0; n < 32; n++) b.descriptor(IDT + n * 8, gate(KCODE, 0x6000 + n, n & 1 ? 0xef : 0xee));
  b.w32(0x20000, PAGE_TABLE | 7);
  for (let n = 0; n < 256; n++) b.w32(PAGE_TABLE + n * 4, (n << 12) | 0x67);
  b.cpu.setCrRaw(3, 0x20000);
  b.cpu.setCrRaw(0, 0x80050011 | 0);
  b.cpu.updateHflags();
  return b;
}

function frame(b: Bench, at: number, words: readonly number[]): void {
  words.forEach((v, i) => b.w32(at + 4 * i, v));
  b.cpu.setReg(ESP, at);
}

describe('direct paths', () => {
  it('take a user interrupt to the kernel and back', () => {
    const b = machine();
    toUser(b);
    b.cpu.setReg(ESP, USTACK);
    expect(fastEnter(b.cpu, 8, true, -1, 0x246, 0x5002)).toBe(true);
    expect([b.cpu.cpl, b.cpu.eip, b.cpu.reg(ESP)]).toEqual([0, 0x6008, KSTACK - 20]);
    expect(fastIret(b.cpu)).toBe(true);
    expect([b.cpu.cpl, b.cpu.eip, b.cpu.reg(ESP)]).toEqual([3, 0x5002, USTACK]);
  });

  it('take an exception within the kernel and back', () => {
    const b = machine();
    expect(fastEnter(b.cpu, 14, false, 2, 0x10246, 0x5000)).toBe(true);
    expect([b.r32(KSTACK - 16), b.r32(KSTACK - 12), b.r32(KSTACK - 8), b.r32(KSTACK - 4)]).toEqual([
      2,
      0x5000,
      KCODE,
      0x10246,
    ]);
    b.cpu.setReg(ESP, KSTACK - 12);
    expect(fastIret(b.cpu)).toBe(true);
    expect([b.cpu.cpl, b.cpu.eip, b.cpu.reg(ESP)]).toEqual([0, 0x5000, KSTACK]);
  });

  it('leave what is not flat, not aligned or not plain RAM to the general ones', () => {
    const refuse = (change: (b: Bench) => void): void => {
      const b = machine();
      toUser(b);
      change(b);
      expect(fastEnter(b.cpu, 8, true, -1, 2, 0x5002)).toBe(false);
    };
    refuse((b) => b.w32(GDT + KCODE, 0x0000fffe));
    refuse((b) => b.w32(TSS + 4, KSTACK + 2));
    refuse((b) => b.w32(TSS + 4, 0x8008));
    refuse((b) => b.w32(IDT + 8 * 8 + 4, 0x8e00));
    refuse((b) => (b.host.pointer = () => -1));
  });

  it('agree with the general ones', () => {
    const selector = fc.constantFrom(0, 3, KCODE, KDATA, UCODE, UDATA, 0x28, 0x34, 0x40, 0x49, 0x51, 0x58, 0xf8, 0x107);
    const poke = fc.record({
      at: fc.constantFrom(GDT, GDT + 8, IDT + 64, TSS),
      offset: fc.nat(47),
      value: fc.nat(255),
    });
    const step = fc.record({
      what: fc.constantFrom('int', 'fault', 'iret', 'load', 'popf', 'external'),
      vector: fc.constantFrom(0, 1, 3, 8, 13, 14, 31, 40),
      seg: fc.constantFrom(ES, DS, FS, GS, 2),
      selector,
      flags: fc.constantFrom(2, 0x246, 0x3246, 0x10202, 0x40246, 0x46, 0x302, 0x24ed7, 0x180246),
      esp: fc.constantFrom(0x9000, 0x9ff8, 0x9ff0, 0xa000, 0xa004, 0xa002, 0xb000, 0),
      code: fc.constantFrom(KCODE, UCODE, UCODE, UDATA, 0x49, 0),
      stack: fc.constantFrom(UDATA, UDATA, KDATA, 0),
      error: fc.boolean(),
    });
    const setup = fc.record({
      pokes: fc.array(poke, { maxLength: 2 }),
      unmapped: fc.array(fc.constantFrom(1, 2, 3, 8, 9, 10, 0xa), { maxLength: 1 }),
      readOnly: fc.array(fc.constantFrom(8, 9, 10), { maxLength: 1 }),
      user: fc.boolean(),
      dr7: fc.constantFrom(0x400, 0x400, 0x401),
      steps: fc.array(step, { minLength: 1, maxLength: 8 }),
    });
    let direct = 0;
    fc.assert(
      fc.property(setup, (s) => {
        const run = (plain: boolean): unknown[] => {
          const b = machine();
          const { cpu } = b;
          for (const p of s.pokes) b.host.physWrite8(p.at + p.offset, p.value);
          for (const n of s.unmapped) b.w32(PAGE_TABLE + n * 4, 0);
          for (const n of s.readOnly) b.w32(PAGE_TABLE + n * 4, b.r32(PAGE_TABLE + n * 4) & ~2);
          if (s.user) toUser(b);
          cpu.setDrRaw(7, s.dr7);
          cpu.updateHflags();
          const { pointer, write32 } = b.host;
          // a store's fault names its first byte, as the accelerator's does
          b.host.write32 = (lin, v, user) => {
            pointer.call(b.host, lin, 1, user);
            write32.call(b.host, lin, v, user);
          };
          b.host.pointer = (lin, access, user) => {
            if (!plain) return -1;
            direct++;
            return pointer.call(b.host, lin, access, user);
          };
          const log: unknown[] = [];
          for (const t of s.steps) {
            const raised = b.try(() => {
              if (t.what === 'iret') {
                b.host.physWrite32(t.esp, 0x7000);
                frame(b, t.esp, [0x7000, t.code, t.flags, 0xb000, t.stack]);
                SYSTEM_HELPERS['iret'](cpu)(4, 0x5001, 0, 0);
              } else if (t.what === 'int') SYSTEM_HELPERS['soft_int'](cpu)(t.vector, 0x5002, 0, 0);
              else if (t.what === 'load') SYSTEM_HELPERS['load_seg'](cpu)(t.seg, t.selector, 0, 0);
              else if (t.what === 'popf') SYSTEM_HELPERS['popf'](cpu)(t.flags, 4, 0x5001, 0);
              else if (t.what === 'external') cpu.interrupt(t.vector | 32);
              else cpu.raise(t.vector & 31, t.error ? 4 : -1);
            });
            log.push(raised, b.host.shutdowns.length);
            if (raised !== null) cpu.deliver();
            expect(cpu.hflags).toBe(computeHflags(cpu));
            log.push([...cpu.e32.subarray(0, ENV.FPREGS >> 2)], cpu.cr(2));
            if (b.host.shutdowns.length > 0) break;
            b.host.insnEip = cpu.eip;
          }
          log.push(Array.from({ length: 0x3000 }, (_, n) => b.r32(n * 4)).join());
          return log;
        };
        expect(run(true)).toEqual(run(false));
      }),
      { numRuns: 400, seed: 11 },
    );
    expect(direct).toBeGreaterThan(1000);
  });
});
