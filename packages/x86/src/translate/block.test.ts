import { chooseOptimisations, createTranslateResult, IrBuilder, OPTIMISATION_NAMES, print } from '@emkit/ir';
import { describe, expect, it } from 'vitest';
import { hexBytes } from '../../test/flat-machine.ts';
import { ALL_FEATURES } from '../decode/features.ts';
import { GLOBALS_32, HF_AVX, HF_CS32, HF_IOPL_OK, HF_OSFXSR, HF_PE, HF_SS32, HF_SSE_FAST, HF_TF } from '../state.ts';
import { BlockTranslator } from './block.ts';
import type { OptimisationChoice } from '@emkit/ir';

const FLAT = HF_CS32 | HF_SS32 | HF_PE;
const result = createTranslateResult();

interface Options {
  readonly flags?: number;
  readonly maxInsns?: number;
  readonly endEip?: number;
  /** Bytes that are in the first page; the rest is in the next one. */
  readonly inPage?: number;
  readonly nextMapped?: boolean;
  readonly hot?: boolean;
  readonly optimisations?: OptimisationChoice;
}
/** IR text of the block at 1000h, without blank lines. */
function translate(code: string, o: Options = {}): string[] {
  const b = new IrBuilder(GLOBALS_32);
  const u8 = new Uint8Array(8192);
  const bytes = hexBytes(code);
  const inPage = o.inPage ?? bytes.length;
  const offset = 4096 - inPage;
  u8.set(bytes.slice(0, inPage), offset);
  u8.set(bytes.slice(inPage), 4096);
  new BlockTranslator(ALL_FEATURES).translate(
    b,
    {
      eip: 0x1000,
      csBase: 0,
      flags: o.flags ?? FLAT,
      maxInsns: o.maxInsns ?? 64,
      endEip: o.endEip ?? -1,
      hot: o.hot ?? false,
      optimisations: chooseOptimisations(o.optimisations),
      entryCcOp: -1,
      volatileCode: false,
      movable: false,
      code: { u8, offset, available: inPage, nextPage: () => (o.nextMapped === false ? -1 : 4096) },
    },
    result,
  );
  if (result.fault) return [];
  return print(b.finish(), GLOBALS_32)
    .trim()
    .split('\n')
    .map((l) => l.trim());
}
const count = (lines: readonly string[], pattern: RegExp): number => lines.filter((l) => pattern.test(l)).length;

describe('translated blocks', () => {
  it('turn CMP and Jcc into one compare', () => {
    const ir = translate('39 c8 7c 02');
    expect(count(ir, /i32_lt_s/)).toBe(1);
    expect(ir.at(-1)).toMatch(/^br v\d+ 0x1006 0x1004$/);
    // beyond the compare: the difference and the three flag globals, for whoever asks later
    expect(count(ir, /^v\d+ = i32_/)).toBe(3); // lt_s, sub, const
  });

  it('compute no flags that are overwritten', () => {
    const ir = translate('01 c8 31 d8 c1 e0 03 48 85 c0 74 00');
    expect(count(ir, /set_i32 @cc_op/)).toBe(1);
    expect(count(ir, /popcnt|lt_u|i32_eq /)).toBe(0);
  });

  it('chain ADD and ADC through one compare', () => {
    const ir = translate('01 c8 11 da 85 c0 74 00');
    expect(count(ir, /i32_lt_u/)).toBe(1);
    expect(count(ir, /i32_add/)).toBe(3);
  });

  it('forward partial registers', () => {
    const ir = translate('30 c1 0f b6 c9 c3');
    // one AND for each byte read, none for the extension; CL is dead
    expect(count(ir, /i32_and/)).toBe(2);
    expect(count(ir, /i32_or/)).toBe(0);
  });

  it('keep the flat path free of segment arithmetic', () => {
    expect(count(translate('8b 44 8b 10 89 45 fc c3'), /envld|raise_if/)).toBe(0);
  });

  it('divide in 32 bits after CDQ, and after XOR EDX, EDX', () => {
    expect(count(translate('99 f7 f9 eb 00'), /i64/)).toBe(0);
    expect(count(translate('31 d2 f7 f1 eb 00'), /i64/)).toBe(0);
    expect(count(translate('f7 f1 eb 00'), /i64_div_u/)).toBe(1);
  });

  it('report calls, and end at them', () => {
    expect(translate('e8 10 00 00 00').at(-1)).toBe('jmp 0x1015 0x0');
    expect([result.callReturn, result.insns, result.bytes]).toEqual([0x1005, 1, 5]);
    translate('ff d0');
    expect(result.callReturn).toBe(0x1002);
    translate('c3');
    expect(result.callReturn).toBe(-1);
  });

  it('end at maxInsns and before endEip', () => {
    expect(translate('40 40 40 40 c3', { maxInsns: 2 }).at(-1)).toBe('jmp 0x1002 0x0');
    expect(translate('40 40 40 40 c3', { endEip: 0x1003 }).at(-1)).toBe('jmp 0x1003 0x0');
    expect(result.insns).toBe(3);
  });

  it('take an instruction that spans two pages alone, or report the fetch fault', () => {
    expect(translate('40 b8 01 00 00 00', { inPage: 3 }).at(-1)).toBe('jmp 0x1001 0x0');
    expect(translate('b8 78 56 34 12', { inPage: 2 })).toContain('v1 = i32_const 0x12345678');
    expect([result.bytes, result.insns, result.fault]).toEqual([5, 1, false]);
    translate('b8 78 56 34 12', { inPage: 2, nextMapped: false });
    expect([result.fault, result.bytes]).toEqual([true, 0]);
  });

  it('make a repeated string instruction a block of its own', () => {
    expect(translate('40 f3 a4').at(-1)).toBe('jmp 0x1001 0x0');
    expect(translate('f3 a4 40').at(-1)).toMatch(/^exit/);
    expect(result.insns).toBe(1);
  });

  it('take one instruction a block under the trap flag, with the trap after it', () => {
    const ir = translate('40 40', { flags: FLAT | HF_TF });
    expect(result.insns).toBe(1);
    expect(ir.slice(-2).map((l) => l.replace(/^v\d+ = /, '').replace(/ .*/, ''))).toEqual(['callj0', 'exit']);
  });

  it('raise #UD for what does not decode and #GP for what is too long', () => {
    expect(translate('0f 04').at(-1)).toMatch(/^exit/);
    expect(count(translate('0f 04'), /callj2/)).toBe(1);
    expect(count(translate(`${'66 '.repeat(15)}90`), /i32_const 0xd$/)).toBe(1);
  });
});

describe('quick forms', () => {
  it.each([
    ['transitions', 'cd 80'], // int 80h
    ['segment-loads', '8e d8'], // mov ds, ax
    ['ports', 'e4 61'], // in al, 61h
    ['bulk-strings', 'f3 a4'], // rep movsb
    ['masked-moves', 'c4 e2 69 8c 08'], // vpmaskmovd xmm1, xmm2, [eax]
    ['native-floats', '0f 58 c1'], // addps xmm0, xmm1
  ] as const)('of %s are taken where it alone is on, and not where it alone is off', (name, code) => {
    const flags = FLAT | HF_IOPL_OK | HF_OSFXSR | HF_SSE_FAST | HF_AVX;
    const ir = (chosen: OptimisationChoice): string =>
      translate(code, { flags, hot: true, maxInsns: 1, optimisations: chosen }).join('\n');
    const others = Object.fromEntries(OPTIMISATION_NAMES.filter((n) => n !== name).map((n) => [n, false]));
    const [quick, exact] = [ir({}), ir({ [name]: false })];
    expect(quick).not.toBe(exact);
    expect([ir(others), ir({ ...others, [name]: false })]).toEqual([quick, exact]);
  });
});
