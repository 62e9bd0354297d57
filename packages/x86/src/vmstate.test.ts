import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bench, protectedBench, toUser } from '../test/fake-host.ts';
import { movToDr } from './system/debug-registers.ts';
import { CS, ENV } from './state.ts';
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
    other[0] = 2;
    expect(() => loadX86State(b.cpu, other)).toThrow('x86-cpu: version 2, expected 1');
    for (const n of [0, 3, 4, good.length - 1])
      expect(() => loadX86State(b.cpu, good.subarray(0, n))).toThrow(VmStateError);
    expect(() => loadX86State(b.cpu, new Uint8Array(good.length + 1))).toThrow(VmStateError);
  });
  it('random bytes are loaded or refused, never anything else', () => {
    const size = x86StateBytes();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(size - 1), fc.nat(255)), { maxLength: 8 }), (edits) => {
        const b = protectedBench();
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
