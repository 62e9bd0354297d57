import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODE, DATA, HIGH, hexBytes, longCode, longMachine, runCodeAt } from '../../test/flat-machine.ts';
import type { IrMachine } from '../../test/ir-machine.ts';
import { ALL_FEATURES } from '../decode/features.ts';
import { F_SMAP } from '../models/features.ts';
import { CS, EAX, ECX, ENV, EXC, HF_CPL, HF_TF, SEG_STRIDE, SS } from '../state.ts';

const SCE = 0x501;
const TARGET = HIGH + DATA;
/** Under SMAP the helper does it, without it is done inline. */
const byHelper = longMachine();
const inline = longMachine(0, { ...ALL_FEATURES, ebx7: ALL_FEATURES.ebx7 & ~F_SMAP });

interface State {
  readonly cpl: number;
  readonly star: number;
  readonly mask: number;
  readonly flags: number;
  readonly efer: number;
  readonly am: boolean;
  readonly rip: readonly [number, number];
}
function run(m: IrMachine, s: State, code: string): unknown {
  const { cpu } = m;
  for (const at of [TARGET, DATA]) m.u8[m.host(at)] = 0xf4;
  cpu.setCrRaw(0, 0x80000011 | (s.am ? 1 << 18 : 0));
  cpu.setEflags(s.flags, -1);
  longCode(m, true, s.cpl);
  cpu.setEnv32(ENV.MSR_EFER, s.efer);
  cpu.setEnv64(ENV.MSR_STAR, 0, s.star);
  cpu.setEnv64(ENV.MSR_LSTAR, ...s.rip);
  cpu.setEnv64(ENV.MSR_FMASK, s.mask, 0);
  cpu.setReg64(ECX, ...s.rip);
  cpu.setReg64(11, s.flags ^ s.mask, 0xffff);
  const stop = runCodeAt(m, CODE, hexBytes(code));
  const at = [CS, SS].map((n) => ENV.SEG + n * SEG_STRIDE);
  return [
    stop,
    cpu.rip,
    cpu.hflags,
    cpu.eflags(),
    ...[EAX, ECX, 11].map((r) => [cpu.reg(r), cpu.regHigh(r)]),
    ...at.map((n) => [...cpu.e32.subarray(n >> 2, (n + 20) >> 2)]),
  ];
}

const word = fc.nat(0xffffffff);
/** Not TF: a trap needs an IDT. */
const flagsWord = word.map((v) => v & ~0x100);
const state = fc.record({
  cpl: fc.constantFrom(0, 3),
  star: word,
  mask: flagsWord,
  flags: flagsWord.map((v) => v & 0x3c7cd5 & ~0x10000),
  efer: fc.constantFrom(SCE, SCE, SCE, SCE & ~1),
  am: fc.boolean(),
  rip: fc.constantFrom([TARGET >>> 0, -1] as const, [DATA, 0] as const, [DATA, 0x8000] as const),
});

describe('SYSCALL and SYSRET inline', () => {
  it('leave what the helpers leave', () => {
    fc.assert(
      fc.property(state, fc.constantFrom('0f 05', '48 ff c0 0f 05', '48 0f 07', '90 48 0f 07', '0f 07'), (s, code) => {
        // what SYSCALL loads from LSTAR is canonical, since WRMSR takes nothing else
        const t = s.rip[1] === 0x8000 && code.endsWith('05') ? { ...s, rip: [DATA, 0] as const } : s;
        expect(run(inline, t, code)).toEqual(run(byHelper, t, code));
      }),
      { seed: 21, numRuns: 300 },
    );
  });

  it('go from CPL 3 to 0 and back, with the return address in RCX and the flags in R11', () => {
    const { cpu } = inline;
    const s: State = { cpl: 3, star: 0x00230010, mask: 0x200, flags: 0x246, efer: SCE, am: false, rip: [DATA, 0] };
    expect((run(inline, s, '0f 05') as unknown[])[0]).toEqual({ vector: -1, error: -1 });
    expect([cpu.reg(ECX), cpu.reg(11), cpu.eflags() & 0x200]).toEqual([CODE + 2, 0x246, 0]);
    expect([cpu.segSelector(CS), cpu.segSelector(SS), cpu.hflags & HF_CPL]).toEqual([0x10, 0x18, 0]);
    expect((run(inline, { ...s, cpl: 0 }, '48 0f 07') as unknown[])[0]).toEqual({ vector: EXC.GP, error: 0 });
    expect([cpu.segSelector(CS), cpu.segSelector(SS), cpu.hflags & (HF_CPL | HF_TF)]).toEqual([0x33, 0x2b, 3]);
    expect(cpu.rip).toBe(DATA);
  });
});
