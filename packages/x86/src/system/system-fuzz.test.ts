/**
 * Hostile tables: random GDT, LDT, IDT, TSS and stack bytes (dense in valid types), random helper calls. Nothing but the
 * recorded exception may come out, a faulting helper leaves registers and segments alone, and HFLAGS stays what the
 * state says.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bench, GDT, IDT, KSTACK, LDT, TSS, USTACK, protectedBench, toUser } from '../../test/fake-host.ts';
import { ENV, ESP, FLAG_VM, HF_CPL, HF_PE, HF_VM } from '../state.ts';
import {
  GDT as GDT64,
  IDT as IDT64,
  KERNEL_57,
  LDT as LDT64,
  HIGH,
  USER_57,
  la57Bench,
  longBench,
} from '../../test/long-bench.ts';
import { CS, HF_CS64, HF_LMA, SEG_BASE, SEG_STRIDE } from '../state.ts';
import { SYSTEM_HELPERS } from './index.ts';
import { computeHflags } from './hflags.ts';

const access = fc.constantFrom(
  0x9a,
  0x92,
  0xfa,
  0xf2,
  0x9e,
  0x98,
  0x1a,
  0x82,
  0x89,
  0x8b,
  0x81,
  0x83,
  0x84,
  0x8c,
  0xec,
  0xe4,
  0x85,
  0xe5,
  0x8e,
  0xee,
  0x8f,
  0x86,
  0x0e,
  0xb2,
  0xba,
  0x96,
);
const selector = fc.oneof(
  fc.constantFrom(0, 8, 0x10, 0x1b, 0x23, 0x28, 0x30, 0x49, 0x51, 0x58, 0x60, 0x68, 0xc),
  fc.nat(0xffff),
);
const slot = fc.record({
  table: fc.constantFrom(GDT, LDT, IDT),
  n: fc.nat(31),
  low: fc.nat(0xffff),
  sel: selector,
  access,
  top: fc.nat(255),
  flags: fc.nat(15),
});
const TRANSFERS = [
  'load_seg',
  'far_jmp',
  'far_call',
  'far_ret',
  'iret',
  'soft_int',
  'lldt',
  'ltr',
  'lar',
  'lsl',
  'verr',
  'verw',
  'sysenter',
  'sysexit',
  'popf',
  'cli',
  'sti',
  'mov_to_cr',
  'mov_to_dr',
  'mov_from_dr',
  'rdmsr',
  'wrmsr',
  'rdtsc',
  'cpuid',
  'port_in',
  'ins_outs',
  'lmsw',
  'clts',
  'single_step',
  'raise',
] as const;
const call = fc.record({
  name: fc.constantFrom(...TRANSFERS),
  sel: selector,
  b: fc.oneof(fc.nat(0xffff), fc.integer()),
  size: fc.constantFrom(2, 4),
  kind: fc.nat(3),
});

/** Arguments that the translator could pass. */
function argumentsOf(c: {
  name: string;
  sel: number;
  b: number;
  size: number;
  kind: number;
}): [number, number, number, number] {
  switch (c.name) {
    case 'load_seg':
      return [c.sel % 6, c.b & 0xffff, 0, 0];
    case 'far_ret':
    case 'iret':
      return [c.size, c.b & 0xff, 0, 0];
    case 'soft_int':
      return [c.b & 31, 0x5002, c.kind, 0];
    case 'popf':
      return [c.b, c.size, 0x5001, 0];
    case 'mov_to_cr':
      return [[0, 2, 3, 4][c.kind], c.b, 0, 0];
    case 'mov_to_dr':
    case 'mov_from_dr':
      return [c.b & 7, c.sel, 0, 0];
    case 'port_in':
      return [c.sel, c.size, 0, 0];
    case 'ins_outs':
      return [c.kind & 1, c.size, c.kind | 0x30, 0x5002];
    case 'raise':
      return [c.b & 15, c.b & 1 ? 0 : -1, 0, 0];
    default:
      return [c.sel, c.b, c.size, 0x5005];
  }
}

function snapshot(b: Bench): number[] {
  return [
    ...b.cpu.e32.subarray(0, ENV.EIP >> 2),
    ...b.cpu.e32.subarray(ENV.SEG >> 2, ENV.GDT_BASE >> 2),
    b.cpu.cr(0),
    b.cpu.cr(3),
    b.cpu.cr(4),
  ];
}

describe('random tables and helper calls', () => {
  it('raise x86 exceptions only, and change nothing when they do', () => {
    const setup = fc.record({
      slots: fc.array(slot, { maxLength: 24 }),
      stack: fc.array(fc.oneof(selector, fc.nat(0xffff), fc.constant(FLAG_VM | 2)), { minLength: 12, maxLength: 12 }),
      tss: fc.array(selector, { maxLength: 26 }),
      calls: fc.array(call, { minLength: 1, maxLength: 12 }),
      user: fc.boolean(),
      vm: fc.boolean(),
      limit: fc.constantFrom(0xff, 0x7f, 0x33),
    });
    fc.assert(
      fc.property(setup, (s) => {
        const b = protectedBench();
        const { cpu } = b;
        for (const d of s.slots)
          b.descriptor(d.table + d.n * 8, [(d.sel << 16) | d.low, (d.top << 24) | (d.flags << 20) | (d.access << 8)]);
        s.tss.forEach((v, i) => b.w32(TSS + 4 * i, v));
        s.stack.forEach((v, i) => {
          b.w32(KSTACK + 4 * i, v);
          b.w32(USTACK + 4 * i, v);
        });
        cpu.setEnv32(ENV.GDT_LIMIT, s.limit);
        if (s.user) toUser(b);
        if (s.vm) {
          cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_VM;
          cpu.updateHflags();
        }
        for (const c of s.calls) {
          const [x, y, z, w] = argumentsOf(c);
          const before = snapshot(b);
          const raised = b.try(() => void SYSTEM_HELPERS[c.name](cpu)(x, y, z, w));
          if (raised !== null) {
            if (c.name !== 'ins_outs') expect(snapshot(b)).toEqual(before);
            expect(raised.vector).toBeLessThan(32);
            cpu.deliver();
          }
          expect(cpu.hflags).toBe(computeHflags(cpu));
          const h = cpu.hflags;
          expect((h & HF_VM) !== 0 && (h & HF_CPL) !== 3).toBe(false);
          expect((h & HF_PE) === 0 && (h & HF_CPL) !== 0).toBe(false);
          expect(cpu.env32(ENV.CS_BASE)).toBe(cpu.segBase(1));
          expect([cpu.ext, cpu.delivering]).toEqual([0, false]);
          if (b.host.shutdowns.length > 0) return;
          b.host.insnEip = cpu.eip;
          if ((cpu.reg(ESP) & 3) !== 0) cpu.setReg(ESP, KSTACK);
        }
      }),
      { numRuns: 2500, seed: 7 },
    );
  });
});

const LONG_TRANSFERS = [
  ...TRANSFERS,
  'syscall',
  'sysret',
  'swapgs',
  'write_fsgsbase',
  'stac',
  'clac',
  'xsetbv',
  'wrpkru',
  'rdrand',
  'invpcid',
  'invlpg',
] as const;
const HIGHS = [0, 0, 0, 0xffffffff, 0x7fff, 0x8000, 0xffff8000, 1, USER_57, KERNEL_57, 0x00ff_ffff, 0x0100_0000];
const longCall = fc.record({
  name: fc.constantFrom(...LONG_TRANSFERS),
  sel: selector,
  b: fc.oneof(fc.nat(0xffff), fc.integer()),
  size: fc.constantFrom(2, 4, 8),
  kind: fc.nat(3),
  high: fc.constantFrom(...HIGHS),
});

describe('random tables and helper calls in long mode', () => {
  it.each([
    ['four', longBench],
    ['five', la57Bench],
  ])('raise x86 exceptions only, change nothing when they do, and leave canonical addresses: %s levels', (_, make) => {
    const setup = fc.record({
      slots: fc.array(slot, { maxLength: 24 }),
      stack: fc.array(fc.oneof(selector, fc.nat(0xffff), fc.constantFrom(0x10, 0x23, 0x2b)), {
        minLength: 12,
        maxLength: 12,
      }),
      tss: fc.array(fc.tuple(fc.nat(0xffff), fc.constantFrom(...HIGHS)), { maxLength: 12 }),
      star: fc.nat(0x7fffffff),
      calls: fc.array(longCall, { minLength: 1, maxLength: 12 }),
      mode: fc.constantFrom('kernel', 'user', 'compat'),
    });
    fc.assert(
      fc.property(setup, (s) => {
        const b = make();
        const { cpu } = b;
        for (const d of s.slots) {
          const at = d.table === GDT ? GDT64 : d.table === LDT ? LDT64 : IDT64;
          b.descriptor(at + (d.n & 15) * (at === IDT64 ? 16 : 8), [
            (d.sel << 16) | d.low,
            (d.top << 24) | (d.flags << 20) | (d.access << 8),
          ]);
        }
        s.tss.forEach(([low, high], i) => {
          b.w32(0x3000 + 4 + 8 * i, low);
          b.w32(0x3000 + 8 + 8 * i, high);
        });
        for (const top of [0x9000, 0xa000]) s.stack.forEach((v, i) => b.w64(top + 8 * i, v));
        cpu.setEnv64(ENV.MSR_STAR, 0, s.star);
        cpu.setEnv32(ENV.MSR_SYSENTER_CS, s.star & 0xff);
        if (s.mode === 'user') b.toUser();
        if (s.mode === 'compat') b.toUser(0x1b);
        for (const c of s.calls) {
          const [x, y, z, w] =
            c.name === 'mov_to_cr' || c.name === 'mov_to_dr'
              ? [c.name === 'mov_to_cr' ? [0, 2, 4, 8][c.kind] : c.b & 7, c.sel, c.high, 0]
              : c.name === 'write_fsgsbase'
                ? [4 + (c.kind & 1), c.b, c.high, 0]
                : c.name === 'sysret' || c.name === 'sysexit' || c.name === 'rdrand'
                  ? [c.size, 0, 0, 0]
                  : c.name === 'invpcid' || c.name === 'invlpg'
                    ? [c.kind, c.high, 0, 0]
                    : argumentsOf(c);
          cpu.setEnv32(ENV.SCRATCH, c.high);
          cpu.setEnv32(ENV.SCRATCH + 12, c.high);
          if (c.kind === 3) cpu.setReg64(1, c.b, c.high);
          const before = snapshot(b);
          const raised = b.try(() => void SYSTEM_HELPERS[c.name](cpu)(x, y, z, w));
          if (raised !== null) {
            if (c.name !== 'ins_outs') expect(snapshot(b)).toEqual(before);
            expect(raised.vector).toBeLessThan(32);
            cpu.deliver();
          }
          expect(cpu.hflags).toBe(computeHflags(cpu));
          if (b.host.shutdowns.length > 0) return;
          const h = cpu.hflags;
          expect((h & HF_CS64) !== 0 && (h & HF_LMA) === 0).toBe(false);
          if ((h & HF_CS64) === 0) expect(cpu.env32(ENV.CS_BASE)).toBe(cpu.segBase(CS) >>> 0);
          else expect([cpu.linear.canonicalHigh(cpu.env32(ENV.CS_BASE) | 0), cpu.segBase(CS)]).toEqual([true, 0]);
          for (let seg = 0; seg < 6; seg++)
            expect(cpu.linear.canonicalHigh(cpu.env32(ENV.SEG + SEG_BASE + seg * SEG_STRIDE + 4) | 0)).toBe(true);
          expect([cpu.ext, cpu.delivering]).toEqual([0, false]);
          b.host.insnEip = cpu.eip;
          if (b.rsp < HIGH + 0x1000 && (h & HF_CPL) !== 3) b.rsp = HIGH + 0x9000;
        }
      }),
      { numRuns: 2500, seed: 7 },
    );
  });
});
