/**
 * A decoded instruction: one object, reused for every instruction (the decoder overwrites all of it). What it says is
 * still encoding, not meaning: register numbers, displacement, immediates, prefixes. Sizes are log2 of bytes.
 */
import type { OpRow } from './row.ts';

export const REP_NONE = 0;
/** F3: REP, REPE. */
export const REP_E = 1;
/** F2: REPNE. */
export const REP_NE = 2;

export class Insn {
  /** Undefined only before the first decode. */
  row!: OpRow;
  /** Bytes, prefixes included. */
  length = 0;
  /** Decoded as 64-bit code. */
  is64 = false;
  /** The REX prefix (40-4F), or 0: none. Its R, X and B are in the register numbers already; byte registers 4-7 are SPL-DIL with any REX. */
  rex = 0;
  /** Operand size of `v` operands: 1, 2 (3 in 64-bit code), after the row's rules for 64-bit code. Of vector instructions 2, or 3 with REX.W or VEX.W. */
  size = 2;
  /** Address size: 1, 2, or in 64-bit code 2, 3. */
  asize = 2;
  lock = false;
  /** REP_*: the last of F2/F3. Mandatory prefixes are here too; `row` has accounted for them. */
  rep = 0;
  /** The 66 prefix was present. */
  prefix66 = false;
  /** Segment override (index ES..GS), or -1. */
  override = -1;
  /** Last opcode byte. */
  opcode = 0;
  /** -1: none. */
  modrm = -1;
  mod = 0;
  reg = 0;
  /** Without ModRM: the register in the opcode's low bits. */
  rm = 0;
  /** `reg`, `rm`, `base`, `index`, `vexV`: 0-15 in 64-bit code. Memory operand (mod != 3): registers or -1, segment after default rules and override. */
  base = -1;
  index = -1;
  /** log2 of the factor of the index; from the SIB byte also when there is no index. */
  scale = 0;
  disp = 0;
  /** 64-bit code without base and index register: `disp` counts from the next instruction. */
  ripRelative = false;
  segment = 3;
  /** High half of a 64-bit immediate (MOV r64, imm64) or moffs; else the sign of `imm`. */
  immHigh = 0;
  imm = 0;
  imm2 = 0;
  /** VEX fields: L (0 or 1), vvvv (register number), W; -1 in vexL without VEX. */
  vexL = -1;
  vexV = 0;
  vexW = 0;
}
