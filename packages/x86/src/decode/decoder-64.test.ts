import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DECODE_32, DECODE_64, DECODE_OK, DECODE_UNDEFINED, DECODE_VEX, decode } from './decoder.ts';
import { ALL_FEATURES, decodeFeatures } from './features.ts';
import { Insn } from './insn.ts';

const FEATURES = decodeFeatures(ALL_FEATURES);
const insn = new Insn();
const bytes = (s: string): Uint8Array => Uint8Array.from(s.split(' '), (x) => parseInt(x, 16));
const run = (s: string, mode = DECODE_64): number => decode(insn, bytes(s), 0, bytes(s).length, mode, FEATURES);
/** Decode all of the bytes and name the row. */
function row(s: string, mode?: number): string {
  if (run(s, mode) !== DECODE_OK || insn.length !== bytes(s).length) return 'none';
  return `${insn.row.mnemonic} ${insn.row.operands.map((o) => o.text).join(',')}`.trim();
}

describe('decode in 64-bit code', () => {
  it('merges REX into register numbers and the operand size', () => {
    expect(row('4d 89 fc')).toBe('MOV Ev,Gv');
    expect([insn.size, insn.reg, insn.rm, insn.rex, insn.is64]).toEqual([3, 15, 12, 0x4d, true]);
    row('89 c8');
    expect([insn.size, insn.asize, insn.reg, insn.rm, insn.rex]).toEqual([2, 3, 1, 0, 0]);
    row('66 41 89 c0');
    expect([insn.size, insn.reg, insn.rm]).toEqual([1, 0, 8]);
    row('66 48 89 c8'); // 66 does nothing beside REX.W
    expect(insn.size).toBe(3);
    row('40 88 f4'); // SPL
    expect([insn.rex, insn.rm, insn.reg]).toEqual([0x40, 4, 6]);
    row('41 57');
    expect([insn.rm, insn.size]).toEqual([15, 3]);
    row('49 0f cc');
    expect([insn.rm, insn.size]).toEqual([12, 3]);
  });

  it('ignores a REX prefix that is not directly before the opcode', () => {
    row('49 66 89 c0');
    expect([insn.size, insn.rm, insn.rex]).toEqual([1, 0, 0]);
    row('44 48 01 c8');
    expect([insn.size, insn.reg, insn.rex]).toEqual([3, 1, 0x48]);
  });

  it('addresses by 64- and 32-bit registers, and relative to RIP', () => {
    row('4a 8b 84 a1 10 00 00 00'); // [rcx + r12*4 + 16]
    expect([insn.base, insn.index, insn.scale, insn.disp, insn.segment]).toEqual([1, 12, 2, 16, 3]);
    row('49 8b 04 24'); // [r12]: index 4 without REX.X is none; no SS by default
    expect([insn.base, insn.index, insn.segment]).toEqual([12, -1, 3]);
    row('49 8b 45 f8'); // [r13 - 8]
    expect([insn.base, insn.disp, insn.segment]).toEqual([13, -8, 3]);
    row('48 8b 45 f8');
    expect([insn.base, insn.segment]).toEqual([5, 2]);
    row('49 8b 05 44 33 22 11'); // REX.B does not make r13 of it
    expect([insn.ripRelative, insn.base, insn.index, insn.disp]).toEqual([true, -1, -1, 0x11223344]);
    row('8b 04 25 f0 ff ff ff');
    expect([insn.ripRelative, insn.base, insn.disp]).toEqual([false, -1, -16]);
    row('41 8b 04 25 f0 ff ff ff'); // nor here
    expect([insn.ripRelative, insn.base]).toEqual([false, -1]);
    row('67 41 8b 00');
    expect([insn.asize, insn.base]).toEqual([2, 8]);
    row('67 8b 05 00 00 00 00');
    expect([insn.asize, insn.ripRelative]).toEqual([2, true]);
    row('c3');
    expect(insn.ripRelative).toBe(false);
  });

  it('takes 64-bit immediates and offsets', () => {
    expect(row('49 bf 88 77 66 55 44 33 22 f1')).toBe('MOV Zv,Iv');
    expect([insn.imm, insn.immHigh, insn.rm]).toEqual([0x55667788, 0xf1223344 | 0, 15]);
    row('48 c7 c0 00 00 00 80');
    expect([insn.imm, insn.immHigh]).toEqual([-0x80000000, -1]);
    row('48 05 00 00 00 70');
    expect([insn.imm, insn.immHigh]).toEqual([0x70000000, 0]);
    row('48 83 c0 ff');
    expect([insn.imm, insn.immHigh]).toEqual([-1, -1]);
    row('b8 00 00 00 80');
    expect(insn.length).toBe(5);
    expect(row('a1 08 07 06 05 04 03 02 81')).toBe('MOV rAX,Ov');
    expect([insn.disp, insn.immHigh, insn.size, insn.base]).toEqual([0x05060708, 0x81020304 | 0, 2, -1]);
    row('67 a1 08 07 06 85');
    expect([insn.disp, insn.immHigh, insn.length]).toEqual([0x85060708 | 0, 0, 6]);
  });

  it.each([
    ['stack operands are 64 bits, or 16 with 66', '50', 3],
    ['', '66 50', 1],
    ['', '66 48 50', 3],
    ['', '68 00 00 00 80', 3],
    ['', '66 68 00 80', 1],
    ['', '66 8f c0', 1],
    ['', '9c', 3],
    ['', '0f a0', 3],
    ['', 'c9', 3],
    ['near branches are 64 bits, whatever the prefixes', '66 e8 00 00 00 00', 3],
    ['', '66 0f 84 00 00 00 00', 3],
    ['', '66 eb 00', 3],
    ['', '66 c3', 3],
    ['', '66 ff d0', 3],
    ['far ones are 32', 'cb', 2],
    ['', '48 cf', 3],
    ['ports are never 64 bits', '48 ed', 2],
    ['', '48 6d', 2],
    ['control registers always', '0f 20 c0', 3],
  ])('operand sizes: %s', (_what, code, size) => {
    expect(row(code)).not.toBe('none');
    expect(insn.size).toBe(size);
  });

  it('has no room for some instructions and has others', () => {
    for (const n of [0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0xce, 0xd6])
      expect([run(n.toString(16)), n]).toEqual([DECODE_UNDEFINED, n]);
    for (const code of ['62 00', '82 c0 00', '9a 00 00 00 00 00 00', 'ea 00 00 00 00 00 00', 'd4 0a', 'd5 0a'])
      expect([run(code), code]).toEqual([DECODE_UNDEFINED, code]);
    expect(row('48 63 c8')).toBe('MOVSXD Gv,Ez');
    expect(row('63 c8', DECODE_32)).toBe('ARPL Ew,Gw');
    expect(row('48 40', DECODE_32)).toBe('none');
    expect(row('0f 01 f8')).toBe('SWAPGS');
    expect(run('0f 01 f8', DECODE_32)).toBe(DECODE_UNDEFINED);
    expect(row('f3 48 0f ae c0')).toBe('RDFSBASE Ry');
    expect(row('48 0f c7 08')).toBe('CMPXCHG16B Mdq');
    expect(row('0f c7 08')).toBe('CMPXCHG8B Mq');
    expect(row('0f 05')).toBe('SYSCALL');
  });

  it('exchanges with R8 where 90 has REX.B', () => {
    expect(row('90')).toBe('NOP');
    expect(row('48 90')).toBe('NOP');
    expect(row('f3 90')).toBe('PAUSE');
    expect(row('49 90')).toBe('XCHG Zv,rAX');
    expect([insn.rm, insn.size]).toEqual([8, 3]);
    expect(row('f3 41 90')).toBe('XCHG Zv,rAX');
    row('41 93');
    expect(insn.rm).toBe(11);
  });

  it('does not extend MMX, segment and x87 registers', () => {
    row('4d 0f 6f c1');
    expect([insn.reg, insn.rm]).toEqual([0, 1]);
    row('45 8e c1');
    expect([insn.reg, insn.rm]).toEqual([0, 9]);
    row('41 d8 c1');
    expect(insn.rm).toBe(1);
    row('45 0f 20 c1');
    expect([insn.reg, insn.rm]).toEqual([8, 9]);
  });

  it('ignores ES, CS, SS, DS, and keeps FS and GS', () => {
    row('26 8b 00');
    expect([insn.override, insn.segment]).toEqual([-1, 3]);
    row('3e 8b 45 00');
    expect([insn.override, insn.segment]).toEqual([-1, 2]);
    row('65 2e 8b 00');
    expect([insn.override, insn.segment]).toEqual([5, 5]);
  });

  it('reads R, X, B and vvvv of VEX', () => {
    expect(row('c4 42 18 f2 fb')).toBe('ANDN Gy,By,Ey'); // r15d, r12d, r11d
    expect([insn.reg, insn.vexV, insn.rm, insn.size, insn.rex]).toEqual([15, 12, 11, 2, 0]);
    row('c4 e2 f8 f2 c1');
    expect([insn.size, insn.vexV]).toEqual([3, 0]);
    expect(row('c4 02')).toBe('none'); // never LES
    expect(run('40 c4 e2 60 f2 c1')).toBe(DECODE_UNDEFINED);
    expect(run('c4 e2 64 f2 c1')).toBe(DECODE_UNDEFINED); // VEX.L
    expect(run('c4 e3 7b f0 c1 05')).toBe(DECODE_OK);
    expect(run('c4 e3 73 f0 c1 05')).toBe(DECODE_UNDEFINED); // vvvv without an operand
    // outside of 64-bit code W and the top bit of vvvv do nothing
    expect(row('c4 e2 a0 f2 c1', DECODE_32 | DECODE_VEX)).toBe('ANDN Gy,By,Ey');
    expect([insn.size, insn.vexV]).toEqual([2, 3]);
  });

  it('keeps registers, sizes and lengths in their ranges for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 18 }), (code) => {
        if (decode(insn, code, 0, code.length, DECODE_64, FEATURES) !== DECODE_OK) return;
        expect(insn.length).toBeLessThanOrEqual(Math.min(15, code.length));
        expect([1, 2, 3]).toContain(insn.size);
        expect([2, 3]).toContain(insn.asize);
        expect(insn.rm >= 0 && insn.rm < 16 && insn.reg < 16 && insn.vexV < 16).toBe(true);
        if (insn.modrm >= 0 && insn.mod !== 3) expect(insn.base < 16 && insn.index < 16 && insn.index !== 4).toBe(true);
        expect([-1, 4, 5]).toContain(insn.override);
      }),
      { seed: 5, numRuns: 3000 },
    );
  });
});
