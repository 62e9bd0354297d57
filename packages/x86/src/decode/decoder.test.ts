import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DECODE_32,
  DECODE_OK,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  DECODE_UNDEFINED,
  DECODE_VEX,
  decode,
} from './decoder.ts';
import { features } from '../models/features.ts';
import { ALL_FEATURES, decodeFeatures } from './features.ts';
import { Insn, REP_E, REP_NE } from './insn.ts';

const FEATURES = decodeFeatures(ALL_FEATURES);
const insn = new Insn();
const bytes = (s: string): Uint8Array => Uint8Array.from(s.split(' '), (x) => parseInt(x, 16));
const run = (s: string, mode = DECODE_32 | DECODE_VEX, features = FEATURES): number =>
  decode(insn, bytes(s), 0, bytes(s).length, mode, features);
/** Decode and name the row. */
const row = (s: string, mode?: number): string =>
  run(s, mode) === DECODE_OK ? `${insn.row.mnemonic} ${insn.row.operands.map((o) => o.text).join(',')}`.trim() : 'none';

describe('decode', () => {
  it('takes operand and address size from mode and prefixes', () => {
    expect(row('b8 78 56 34 12')).toBe('MOV Zv,Iv');
    expect([insn.size, insn.length, insn.imm]).toEqual([2, 5, 0x12345678]);
    row('66 b8 34 12');
    expect([insn.size, insn.length, insn.imm]).toEqual([1, 4, 0x1234]);
    row('b8 34 12', 0);
    expect([insn.size, insn.asize, insn.length]).toEqual([1, 1, 3]);
    row('66 67 8b 44 24 08', 0);
    expect([insn.size, insn.asize, insn.base, insn.disp, insn.segment]).toEqual([2, 2, 4, 8, 2]);
  });

  it('decodes 16-bit addressing with its default segments', () => {
    row('8b 42 fe', 0); // [bp+si-2]
    expect([insn.base, insn.index, insn.disp, insn.segment]).toEqual([5, 6, -2, 2]);
    row('8b 06 34 12', 0);
    expect([insn.base, insn.index, insn.disp, insn.segment]).toEqual([-1, -1, 0x1234, 3]);
    row('26 8b 46 00', 0);
    expect([insn.base, insn.segment]).toEqual([5, 0]);
  });

  it('decodes SIB forms', () => {
    row('8b 84 8b 10 00 00 00');
    expect([insn.base, insn.index, insn.scale, insn.disp]).toEqual([3, 1, 2, 16]);
    row('8b 04 25 10 00 00 00'); // no base, no index
    expect([insn.base, insn.index, insn.disp, insn.segment]).toEqual([-1, -1, 16, 3]);
    row('8b 04 24');
    expect([insn.base, insn.index, insn.segment]).toEqual([4, -1, 2]);
  });

  it('selects rows by mandatory prefix, digit, and whole ModRM byte', () => {
    expect(row('f3 90')).toBe('PAUSE');
    expect(row('90')).toBe('NOP');
    expect(row('0f bc c1')).toBe('BSF Gv,Ev');
    expect(row('f3 0f bc c1')).toBe('TZCNT Gv,Ev');
    expect(row('f2 0f 38 f1 c1')).toBe('CRC32 Gy,Ev');
    expect(row('66 0f 38 f1 01')).toBe('MOVBE Mv,Gv');
    expect(row('0f 01 f9')).toBe('RDTSCP');
    expect(row('0f c7 0e')).toBe('CMPXCHG8B Mq');
    expect(row('0f c7 ce')).toBe('none');
    expect(row('f7 c8 01 00 00 00')).toBe('TEST Ev,Iz');
  });

  it('keeps the last of several prefixes', () => {
    row('f2 f3 a4');
    expect(insn.rep).toBe(REP_E);
    row('f3 f2 a4');
    expect(insn.rep).toBe(REP_NE);
    row('26 64 8b 00');
    expect([insn.override, insn.segment]).toEqual([4, 4]);
  });

  it('allows LOCK only where the manual does', () => {
    expect(run('f0 01 00')).toBe(DECODE_OK);
    expect(run('f0 01 c0')).toBe(DECODE_UNDEFINED);
    expect(run('f0 03 00')).toBe(DECODE_UNDEFINED);
    expect(run('f0 39 00')).toBe(DECODE_UNDEFINED);
    expect(run('f0 0f c7 08')).toBe(DECODE_OK);
    expect(run('f0 0f ba 20 01')).toBe(DECODE_UNDEFINED); // BT
    expect(run('f0 0f ba 28 01')).toBe(DECODE_OK); // BTS
    expect(run('f0 8b 00')).toBe(DECODE_UNDEFINED);
    expect(run('f0 a4')).toBe(DECODE_UNDEFINED);
  });

  it('limits instructions to 15 bytes', () => {
    const prefixed = (n: number): string => `${'66 '.repeat(n)}90`;
    expect(run(prefixed(14))).toBe(DECODE_OK);
    expect(run(prefixed(15))).toBe(DECODE_TOO_LONG);
    expect(run(`${'66 '.repeat(11)}81 05 00 00 00 00 00 00`)).toBe(DECODE_TOO_LONG);
    expect(run('66 66 66')).toBe(DECODE_TRUNCATED);
  });

  it('sees VEX only in protected mode and not after 66, F2, F3, LOCK', () => {
    expect(row('c4 e2 60 f2 c1')).toBe('ANDN Gy,By,Ey');
    expect([insn.vexL, insn.vexV]).toEqual([0, 3]);
    expect(run('c4 e2 60 f2 c1', DECODE_32)).toBe(DECODE_UNDEFINED);
    expect(run('66 c4 e2 60 f2 c1')).toBe(DECODE_UNDEFINED);
    expect(row('c4 02')).toBe('LES Gv,Mp');
    expect(run('c5 c0')).toBe(DECODE_TRUNCATED);
  });

  it('knows only what the CPU has', () => {
    const none = decodeFeatures(features({}));
    expect(run('0f 44 c1', DECODE_32, none)).toBe(DECODE_UNDEFINED);
    expect(run('0f c7 08', DECODE_32, none)).toBe(DECODE_UNDEFINED);
    expect(run('0f 31', DECODE_32, none)).toBe(DECODE_UNDEFINED);
    expect(run('01 c8', DECODE_32, none)).toBe(DECODE_OK);
  });

  it('never looks behind the end, and says the same of a prefix of the bytes or asks for more', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 16 }), fc.integer({ min: 0, max: 7 }), (code, mode) => {
        const whole = Uint8Array.from([...code, ...new Uint8Array(16)]);
        const status = decode(insn, whole, 0, whole.length, mode, FEATURES);
        const { length } = insn;
        for (let n = 0; n < Math.min(length, 15); n++) {
          const short = decode(insn, whole, 0, n, mode, FEATURES);
          expect([DECODE_TRUNCATED, DECODE_UNDEFINED]).toContain(short);
          if (status === DECODE_OK && short === DECODE_UNDEFINED)
            throw new Error(`undefined after ${n} bytes, defined after ${length}`);
        }
        if (status === DECODE_OK) expect(decode(insn, whole, 0, length, mode, FEATURES)).toBe(DECODE_OK);
      }),
      { seed: 3, numRuns: 3000 },
    );
  });
});
