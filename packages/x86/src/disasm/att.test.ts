import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { I386, I8086, X86_64 } from '../../test/fixtures/objdump.ts';
import { DECODE_32, DECODE_64, DECODE_OK, DECODE_VEX, decode } from '../decode/decoder.ts';
import { ALL_FEATURES, decodeFeatures } from '../decode/features.ts';
import { Insn } from '../decode/insn.ts';
import { disassemble } from './att.ts';

const fromHex = (s: string): Uint8Array => Uint8Array.from(s.match(/../g) ?? [], (x) => parseInt(x, 16));
const spaces = (s: string): string => s.replace(/\s+/g, ' ').trim();
const FEATURES = decodeFeatures(ALL_FEATURES);

describe('disassemble', () => {
  it.each([
    ['32-bit', I386, 32],
    ['16-bit', I8086, 16],
    ['64-bit', X86_64, 64],
  ] as const)('spells %s code as objdump does, with the same lengths', (_name, lines, bits) => {
    const got = lines.map(([address, bytes]) => {
      const d = disassemble(fromHex(bytes), address, bits);
      return `${bytes} ${spaces(d.text)} (${d.length})`;
    });
    expect(got).toEqual(lines.map(([, bytes, text]) => `${bytes} ${text} (${bytes.length / 2})`));
  });

  it('names branch targets by the address of the instruction', () => {
    expect(disassemble(fromHex('ebfe'), 0xc0001000, 32).text).toBe('jmp    0xc0001000');
    expect(disassemble(fromHex('ebfc'), 0, 16).text).toBe('jmp    0xfffe');
    expect(disassemble(fromHex('ebfe'), -0x7f000000, 64).text).toBe('jmp    0xffffffff81000000');
    expect(disassemble(fromHex('ebfe'), 0x7fff_8000_1000, 64).text).toBe('jmp    0x7fff80001000');
  });

  it('says (bad), one byte, of what does not decode, and length 0 of what is cut off', () => {
    expect(disassemble(fromHex('0fff'), 0, 32).length).toBe(0);
    expect(disassemble(fromHex('0f04c0'), 0, 32)).toEqual({ text: '(bad)', length: 1 });
    expect(disassemble(new Uint8Array(0), 0, 32).length).toBe(0);
  });

  it('agrees with the decoder about every length', () => {
    const insn = new Insn();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 18 }), fc.constantFrom(16, 32, 64), (bytes, bits) => {
        const d = disassemble(bytes, 0x1000, bits);
        const mode = bits === 64 ? DECODE_64 : (bits === 32 ? DECODE_32 : 0) | DECODE_VEX;
        const status = decode(insn, bytes, 0, bytes.length, mode, FEATURES);
        if (status === DECODE_OK) {
          expect(d.length).toBe(insn.length);
          expect(d.text).not.toMatch(/undefined|NaN/);
        } else expect(d.text).toBe('(bad)');
      }),
      { seed: 7, numRuns: 4000 },
    );
  });
});
