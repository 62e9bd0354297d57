/**
 * Where a 386 or later differs from the recorded 286 on purpose, with the manual's reference: such tests are counted
 * apart ("excluded"), not failed. Flag bits 12-15 are masked in every test (see moo-suite.ts), and undefined flags by
 * the data's own masks.
 */
import type { MooTest } from './moo.ts';

export interface Difference {
  readonly why: string;
  readonly applies: (opcode: string, test: MooTest) => boolean;
}

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0xf0, 0xf2, 0xf3]);
const LOCK = 0xf0;
/** Longest instruction of a 286. */
const MAX_LENGTH_286 = 10;
const GP = 13;
const UD = 6;

const prefixes = (test: MooTest): readonly number[] => {
  const end = test.bytes.findIndex((b) => !PREFIXES.has(b));
  return [...test.bytes.subarray(0, end < 0 ? test.bytes.length : end)];
};
/** The instruction without the HLT that ends the test. */
const length = (test: MooTest): number => test.bytes.length - 1;
const body = (test: MooTest): Uint8Array => test.bytes.subarray(prefixes(test).length);
/** String instructions, by opcode. */
const STRING = /^(6C|6D|6E|6F|A4|A5|A6|A7|AA|AB|AC|AD|AE|AF)$/;
/** Memory operand that goes through SS: a segment override of SS, or BP as base without another override. */
function usesStackSegment(opcode: string, test: MooTest): boolean {
  if (/^(07|17|1F|5.|61|8F|9D|C2|C3|C9|CA|CB|CF|06|0E|16|1E|60|68|6A|9A|9C|E8|CC|CD|CE|FF)/.test(opcode)) return true;
  const segments = prefixes(test).filter((b) => (b & 0xe7) === 0x26);
  const last = segments[segments.length - 1];
  if (last !== undefined) return last === 0x36;
  const [, modrm = 0xc0] = body(test);
  const mod = modrm >> 6;
  const rm = modrm & 7;
  return mod !== 3 && (rm === 2 || rm === 3 || (rm === 6 && mod !== 0));
}

export const DIFFERENCES: readonly Difference[] = [
  {
    why: 'LOCK before an instruction that cannot be locked, or a register form, is #UD from the 386 on (SDM Vol. 2A "LOCK"; 80386 Programmer\'s Reference §14.8 "Differences From 80286 Real-Address Mode")',
    applies: (opcode, test) => prefixes(test).includes(LOCK) && !lockable(opcode, test),
  },
  {
    why: 'instructions longer than 10 bytes are #GP only on the 286; the limit is 15 from the 386 on (SDM Vol. 2A §2.3.11 "Instruction Length")',
    applies: (_opcode, test) => length(test) > MAX_LENGTH_286,
  },
  {
    why: 'MOV to and from FS and GS exists from the 386 on',
    applies: (opcode, test) =>
      test.exception?.vector === UD && (opcode === '8C' || opcode === '8E') && ((body(test)[1] >> 3) & 6) === 4,
  },
  {
    why: 'a word at offset FFFFh of SS is #SS (vector 12) from the 386 on; the 286 takes vector 13 (SDM Vol. 3B "Segment Wraparound"; 80386 Programmer\'s Reference §14.6 "Real-Address Mode Exceptions")',
    applies: (opcode, test) => test.exception?.vector === GP && usesStackSegment(opcode, test) && !STRING.test(opcode),
  },
  {
    why: 'the 286 moves SI, DI, CX of a string instruction that faults; later CPUs restart it with them unchanged (SDM Vol. 2B "REP")',
    applies: (opcode, test) => test.exception?.vector === GP && STRING.test(opcode),
  },
];

/** SDM Vol. 2A "LOCK": these with a memory destination. */
function lockable(opcode: string, test: MooTest): boolean {
  const [, modrm = 0xc0] = body(test);
  if (modrm >= 0xc0) return false;
  const digit = (modrm >> 3) & 7;
  const op = parseInt(opcode, 16);
  if (op < 0x38) return (op & 7) < 2;
  if (op >= 0x80 && op <= 0x83) return digit !== 7;
  if (op === 0x86 || op === 0x87) return true;
  if (op === 0xf6 || op === 0xf7) return digit === 2 || digit === 3;
  return (op === 0xfe || op === 0xff) && digit < 2;
}

/** Reason why this test is not run, or undefined. */
export function differenceOf(opcode: string, test: MooTest): string | undefined {
  return DIFFERENCES.find((d) => d.applies(opcode, test))?.why;
}
