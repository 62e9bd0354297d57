import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bench, protectedBench, toUser } from '../test/fake-host.ts';
import { LONG_MODEL, UCODE32, longBench } from '../test/long-bench.ts';
import type { LongBench } from '../test/long-bench.ts';
import { movToDr } from './system/debug-registers.ts';
import { CS, ENV, GS } from './state.ts';
import { VmStateError, X86_VMSTATE, loadX86State, saveX86State, x86StateBytes } from './vmstate.ts';

/** Offset of a field in a saved state. */
function fieldAt(name: string): number {
  let at = 4;
  for (const f of X86_VMSTATE.fields) {
    if (f.name === name) return at;
    at += f.count * (f.kind === 'u64' ? 8 : f.kind === 'u32' ? 4 : 1);
  }
  throw new Error(name);
}

describe('saved state', () => {
  it('comes back whole, with derived state rebuilt', () => {
    const b = protectedBench();
    toUser(b);
    movToDr(b.cpu, 0, 0x7000);
    movToDr(b.cpu, 7, 0x00010401);
    for (let i = 0; i < 16; i++) b.cpu.setReg(i, 0x1000 + i);
    const saved = saveX86State(b.cpu);
    const c = new Bench();
    loadX86State(c.cpu, saved);
    expect(saveX86State(c.cpu)).toEqual(saved);
    expect([c.cpu.hflags, c.cpu.cpl, c.cpu.watchpoints.length, c.cpu.env32(ENV.CS_BASE)]).toEqual([
      b.cpu.hflags,
      3,
      1,
      c.cpu.segBase(CS),
    ]);
    expect(c.host.flushes).toEqual(['all']);
  });
  it('describes fields that lie in env and do not overlap', () => {
    const used = new Uint8Array(ENV.SIZE);
    for (const f of X86_VMSTATE.fields) {
      const n = f.count * (f.kind === 'u64' ? 8 : f.kind === 'u32' ? 4 : 1);
      expect(f.offset + n).toBeLessThanOrEqual(ENV.SIZE);
      for (let i = 0; i < n; i++) expect(used[f.offset + i]++).toBe(0);
    }
    expect(new Set(X86_VMSTATE.fields.map((f) => f.name)).size).toBe(X86_VMSTATE.fields.length);
  });
  it.each([
    ['eflags', 0x80000000],
    ['cc_op', 45],
    ['cc_op', 0xffffffff],
    ['a20_mask', 0],
    ['gdt_limit', 0x10000],
    ['halted', 2],
    ['mxcsr', 0x10000],
  ])('refuses %s = %i and changes nothing', (name, value) => {
    const b = protectedBench();
    const before = saveX86State(b.cpu);
    const bad = saveX86State(new Bench().cpu);
    new DataView(bad.buffer).setUint32(fieldAt(name), value, true);
    expect(() => loadX86State(b.cpu, bad)).toThrow(VmStateError);
    expect(saveX86State(b.cpu)).toEqual(before);
  });
  it('refuses another version and any other length', () => {
    const b = new Bench();
    const good = saveX86State(b.cpu);
    const other = good.slice();
    for (const version of [0, 3]) {
      other[0] = version;
      expect(() => loadX86State(b.cpu, other)).toThrow(`x86-cpu: version ${version}, expected 2`);
    }
    other[0] = 1;
    expect(() => loadX86State(b.cpu, other)).toThrow(VmStateError);
    for (const n of [0, 3, 4, good.length - 1])
      expect(() => loadX86State(b.cpu, good.subarray(0, n))).toThrow(VmStateError);
    expect(() => loadX86State(b.cpu, new Uint8Array(good.length + 1))).toThrow(VmStateError);
  });
  it('reads version 1, whose state has no long mode', () => {
    const b = protectedBench();
    b.cpu.eip = 0x1234;
    const old = saveX86State(b.cpu).slice(0, x86StateBytes(1));
    old[0] = 1;
    const c = longBench();
    c.cpu.setEnv32(ENV.XCR0, 7);
    loadX86State(c.cpu, old);
    expect([c.cpu.eip, c.cpu.longMode, c.cpu.env32(ENV.XCR0), c.cpu.hflags]).toEqual([0x1234, false, 1, b.cpu.hflags]);
    b.cpu.setEnv32(ENV.CS_BASE, b.cpu.segBase(CS));
    expect(saveX86State(c.cpu)).toEqual(saveX86State(b.cpu));
  });
  it('long mode comes back whole', () => {
    const b = longBench();
    b.cpu.rip = -0x123456789abc;
    b.cpu.setReg64(15, 0x89abcdef, 0x01234567);
    b.cpu.setSegBase(GS, 0x1000, 0xffff8880);
    b.cpu.setEnv32(ENV.XCR0, 7);
    b.cpu.setEnv32(ENV.PKRU, 0x55555554);
    const saved = saveX86State(b.cpu);
    const c = new Bench(LONG_MODEL);
    loadX86State(c.cpu, saved);
    expect(saveX86State(c.cpu)).toEqual(saved);
    expect([c.cpu.rip, c.cpu.hflags, c.cpu.segBase(GS)]).toEqual([-0x123456789abc, b.cpu.hflags, -0x777ffffff000]);
    b.toUser(UCODE32);
    loadX86State(c.cpu, saveX86State(b.cpu));
    expect([c.cpu.rip, c.cpu.code64, c.cpu.longMode, c.cpu.env32(ENV.CS_BASE)]).toEqual([0x5000, false, true, 0]);
  });
  it.each([
    ['LMA without LME', (b: LongBench) => b.cpu.setEnv32(ENV.MSR_EFER, 0xc01)],
    ['LMA without PG', (b: LongBench) => b.cpu.setCrRaw(0, 0x11)],
    ['LME and PG without LMA', (b: LongBench) => b.cpu.setEnv32(ENV.MSR_EFER, 0x901)],
    ['long mode without PAE', (b: LongBench) => b.cpu.setCrRaw(4, 0)],
    ['unknown bits of EFER', (b: LongBench) => b.cpu.setEnv32(ENV.MSR_EFER, 0xd03)],
    ['unknown bits of XCR0', (b: LongBench) => b.cpu.setEnv32(ENV.XCR0 + 4, 1)],
    ['RIP not canonical', (b: LongBench) => b.cpu.setEnv32(ENV.CS_BASE, 0x8000)],
    ['base of GS not canonical', (b: LongBench) => b.cpu.setSegBase(GS, 0, 0x8000)],
    ['IDT base not canonical', (b: LongBench) => b.cpu.setEnv64(ENV.IDT_BASE, 0, 0x7fff8000)],
  ])('refuses %s', (_, spoil) => {
    const b = longBench();
    spoil(b);
    const bad = saveX86State(b.cpu);
    const c = longBench();
    const before = saveX86State(c.cpu);
    expect(() => loadX86State(c.cpu, bad)).toThrow(VmStateError);
    expect(saveX86State(c.cpu)).toEqual(before);
  });
  it('random bytes are loaded or refused, never anything else', () => {
    const size = x86StateBytes();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(size - 1), fc.nat(255)), { maxLength: 8 }), (edits) => {
        const b = edits.length % 2 === 0 ? protectedBench() : longBench();
        const data = saveX86State(b.cpu);
        for (const [at, v] of edits) data[at] = v;
        try {
          loadX86State(b.cpu, data);
          b.cpu.walk(0x1234, 0, false);
          b.cpu.raise(13, 0);
        } catch (e) {
          if (e instanceof VmStateError) return;
          b.cpu.deliver();
        }
      }),
      { numRuns: 300, seed: 2 },
    );
  });
});
