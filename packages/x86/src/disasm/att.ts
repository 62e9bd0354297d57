/**
 * Disassembler in AT&T syntax, from the same opcode rows as the translator: one line of text per instruction, spelled as
 * GNU objdump spells it. Operand order is reversed from the manual's; a size suffix appears where no register operand
 * tells the size. What cannot be decoded comes out as `(bad)`, one byte long.
 */
import { DECODE_32, DECODE_64, DECODE_OK, DECODE_TRUNCATED, DECODE_VEX, decode } from '../decode/decoder.ts';
import { ALL_FEATURES, decodeFeatures } from '../decode/features.ts';
import { Insn } from '../decode/insn.ts';
import {
  OP_A,
  OP_B,
  OP_C,
  OP_CONST,
  OP_D,
  OP_E,
  OP_FIXED,
  OP_G,
  OP_H,
  OP_I,
  OP_J,
  OP_L,
  OP_M,
  OP_N,
  OP_O,
  OP_P,
  OP_Q,
  OP_R,
  OP_S,
  OP_SEG,
  OP_SI,
  OP_ST,
  OP_STI,
  OP_U,
  OP_V,
  OP_W,
  OP_X,
  OP_Y,
  OP_Z,
  SZ_D,
  SZ_L,
  SZ_Q,
  SZ_QQ,
  SZ_V,
  SZ_X,
  SZ_Y,
  SZ_Z,
} from '../decode/row.ts';
import type { Operand } from '../decode/row.ts';
import { attMnemonic, hasPredicate } from './mnemonic.ts';
import { SEGMENTS, branchHint, prefixWords } from './prefix-words.ts';

export interface Disassembly {
  readonly text: string;
  /** Bytes; 0 when the bytes end within the instruction. */
  readonly length: number;
}

const UPPER = [8, 9, 10, 11, 12, 13, 14, 15];
const LEGACY = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const REG64 = [...LEGACY.map((r) => `r${r}`), ...UPPER.map((n) => `r${n}`)];
const REG32 = [...LEGACY.map((r) => `e${r}`), ...UPPER.map((n) => `r${n}d`)];
const REG16 = [...LEGACY, ...UPPER.map((n) => `r${n}w`)];
const REG8 = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh', ...UPPER.map((n) => `r${n}b`)];
const REG8_REX = ['spl', 'bpl', 'sil', 'dil'];
const BY_SIZE = [REG8, REG16, REG32, REG64];
const hex = (v: number): string => `0x${(v >>> 0).toString(16)}`;
const signedHex = (v: number): string => (v < 0 ? `-0x${(-v).toString(16)}` : hex(v));
const hex64 = (low: number, high: number): string =>
  high === 0 ? hex(low) : `${hex(high)}${(low >>> 0).toString(16).padStart(8, '0')}`;
/** A 64-bit address given as a signed number. */
const hexAddress = (v: number): string => hex64(v, Math.floor(v / 0x1_0000_0000) | 0);
const SET = new Uint8Array(decodeFeatures(ALL_FEATURES));

/** `rex`: byte registers 4 to 7 are the low ones. */
export const registerName = (n: number, size: number, rex = 0): string =>
  `%${size === 0 && rex !== 0 && n >= 4 && n < 8 ? REG8_REX[n - 4] : BY_SIZE[size]![n]}`;

/** log2 bytes of an operand. */
export function operandSize(o: Operand, i: Insn): number {
  if (o.size === SZ_V) return i.size;
  if (o.size === SZ_Z) return Math.min(i.size, 2);
  return o.size === SZ_Y ? Math.max(i.size, 2) : o.size;
}

/** XMM or YMM register, as an operand of this size. */
const vectorName = (n: number, size: number, i: Insn): string =>
  `%${size === SZ_QQ || (size === SZ_L && i.vexL === 1) ? 'y' : 'x'}mm${n}`;

/** Instructions whose string operands show no segment override of their own destination. */
function memory(i: Insn): string {
  const prefix = i.override >= 0 ? `%${SEGMENTS[i.override]}:` : '';
  const names = BY_SIZE[i.asize]!;
  if (i.ripRelative) return `${prefix}${signedHex(i.disp)}(%${i.asize === 3 ? 'rip' : 'eip'})`;
  const disp = i.mod === 0 && i.base >= 0 && i.disp === 0 ? '' : null;
  const none = i.base < 0 && i.index < 0;
  // SIB without index: %eiz stands for it, except where only a SIB can say it: ESP as base, and in 64-bit code no base at all
  const needed = i.asize === 3 ? (i.base & 7) === 4 || none : (i.base & 7) === 4;
  const eiz = i.asize >= 2 && i.modrm >= 0 && i.rm === 4 && i.index < 0 && (!needed || i.scale !== 0);
  if (none && !eiz) {
    if (i.modrm < 0 && i.is64) return prefix + hex64(i.disp, i.immHigh);
    return prefix + (i.asize === 3 ? hex64(i.disp, i.disp >> 31) : hex(i.asize === 1 ? i.disp & 0xffff : i.disp));
  }
  const shown = disp ?? (none ? hex(i.disp) : signedHex(i.disp));
  const base = i.base >= 0 ? `%${names[i.base]}` : '';
  if (i.asize === 1) return `${prefix}${shown}(${base}${i.index >= 0 ? `,%${names[i.index]}` : ''})`;
  const index =
    i.index >= 0
      ? `,${i.row.vsib ? vectorName(i.index, indexSize(i), i) : `%${names[i.index]}`},${1 << i.scale}`
      : eiz
        ? `,%${i.asize === 3 ? 'riz' : 'eiz'},${1 << i.scale}`
        : '';
  return `${prefix}${shown}(${base}${index})`;
}

/** Of gathers: dwords as indices of quadwords are half a vector. */
const indexSize = (i: Insn): number => (i.row.operands[1].size === SZ_Q && i.row.arg >> 4 === SZ_D ? SZ_X : SZ_L);

function immediate(v: number, size: number, high = v >> 31): string {
  if (size === 3) return `$${hex64(v, high)}`;
  if (size === 0) return `$${hex(v & 0xff)}`;
  return `$${hex(size === 1 ? v & 0xffff : v)}`;
}

function operandText(o: Operand, n: number, i: Insn, next: number): string {
  const size = operandSize(o, i);
  switch (o.method) {
    case OP_E:
    case OP_R:
      // to a segment register: the register is named in the operand size
      if (i.mod === 3)
        return registerName(
          i.rm,
          i.row.fn === 'mov_to_seg' || i.row.fn === 'lar' || i.row.fn === 'lsl' ? i.size : size,
          i.rex,
        );
      return memory(i);
    case OP_M:
    case OP_O:
      return memory(i);
    case OP_G:
      return registerName(i.reg, size, i.rex);
    case OP_Z:
      return registerName(i.rm, size, i.rex);
    case OP_B:
      return registerName(i.vexV, size);
    case OP_FIXED:
      return o.text === 'DX' && /^(IN|OUT|INS|OUTS)$/.test(i.row.mnemonic) ? '(%dx)' : registerName(o.fixed, size);
    case OP_CONST:
      return `$${hex(o.fixed)}`;
    case OP_I:
      // a 32-bit immediate of a 64-bit operation is sign-extended
      if (n > 0 && i.row.operands[n - 1].method === OP_I) return immediate(i.imm2, size);
      return immediate(i.imm, o.size === SZ_Z && i.size === 3 ? 3 : size, i.immHigh);
    case OP_SI:
      return immediate(i.imm, i.row.operands.length > 1 ? operandSize(i.row.operands[0], i) : i.size);
    case OP_J:
      if (i.is64) return hexAddress(next + i.imm);
      return hex(i.size === 1 ? (next + i.imm) & 0xffff : next + i.imm);
    case OP_A:
      return `$${hex(i.imm2)},$${hex(i.size === 1 ? i.imm & 0xffff : i.imm)}`;
    case OP_S:
      return `%${SEGMENTS[i.reg]}`;
    case OP_SEG:
      return `%${SEGMENTS[o.fixed]}`;
    case OP_C:
      return `%cr${i.reg}`;
    case OP_D:
      return `%db${i.reg}`;
    case OP_P:
      return `%mm${i.reg}`;
    case OP_N:
      return `%mm${i.rm}`;
    case OP_Q:
      return i.mod === 3 ? `%mm${i.rm}` : memory(i);
    case OP_V:
      return vectorName(i.reg, o.size, i);
    case OP_U:
      return vectorName(i.rm, o.size, i);
    case OP_W:
      return i.mod === 3 ? vectorName(i.rm, o.size, i) : memory(i);
    case OP_H:
      return vectorName(i.vexV, o.size, i);
    case OP_L:
      return vectorName((i.imm >> 4) & (i.is64 ? 15 : 7), o.size, i);
    case OP_X:
      return `%${SEGMENTS[i.segment]}:(%${BY_SIZE[i.asize]![6]})`;
    case OP_Y:
      return `%es:(%${BY_SIZE[i.asize]![7]})`;
    case OP_ST:
      return '%st';
    case OP_STI:
      return `%st(${i.rm})`;
    default:
      return '?';
  }
}

/** Operands that AT&T keeps in the manual's order. */
const KEEPS_ORDER = /^(ENTER|BOUND)$/;
const IMPLIED_XMM0 = /^(PBLENDVB|BLENDVP[SD]|SHA256RNDS2)$/;
const NO_COUNT = /^(RO[LR]|RC[LR]|S[AH][LR])$/;

function format(i: Insn, bytes: Uint8Array, eip: number, bits: number): string {
  const { row } = i;
  const next = eip + i.length;
  let operands = row.operands.map((o, n) => operandText(o, n, i, next));
  // shift by the constant 1: no count
  if (NO_COUNT.test(row.mnemonic) && row.operands[1]?.method === OP_CONST) operands = operands.slice(0, 1);
  // control and debug registers name their operand in 32 bits; an indirect branch gets a star
  if (/^(call_ind|jmp_ind|call_far_mem|jmp_far_mem)$/.test(row.fn)) operands = operands.map((t) => `*${t}`);
  if (/^FCOMP?$/.test(row.mnemonic) && row.operands.length === 2) operands = operands.slice(1);
  if (row.mnemonic === 'XLAT') operands = [`%${SEGMENTS[i.segment]}:(%${BY_SIZE[i.asize]![3]})`];
  if (row.mnemonic === 'MONITOR') operands = ['%edx', '%ecx', `%${BY_SIZE[i.asize]![0]}`];
  if (row.mnemonic === 'MWAIT') operands = ['%ecx', '%eax'];
  if (hasPredicate(i)) operands.pop();
  if (IMPLIED_XMM0.test(row.mnemonic)) operands.push('%xmm0');
  const mnemonic = attMnemonic(i, bits) + (row.fn === 'jcc' ? branchHint(i, bytes) : '');
  if (!KEEPS_ORDER.test(row.mnemonic)) operands.reverse();
  const prefix = prefixWords(i, bytes);
  return operands.length === 0
    ? prefix + mnemonic
    : `${prefix}${mnemonic.padEnd(prefix === '' ? 6 : 0)} ${operands.join(',')}`;
}

/**
 * One instruction at `bytes[0]`, for 16-, 32- or 64-bit code; `eip` is where it stands (branch targets), in 64-bit code
 * as a signed number. Any bytes are accepted.
 */
export function disassemble(bytes: Uint8Array, eip: number, bits: 16 | 32 | 64): Disassembly {
  if (bytes.length === 0) return { text: '', length: 0 };
  const i = new Insn();
  const mode = bits === 64 ? DECODE_64 : (bits === 32 ? DECODE_32 : 0) | DECODE_VEX;
  const status = decode(i, bytes, 0, bytes.length, mode, SET);
  if (status === DECODE_OK) return { text: format(i, bytes, eip, bits), length: i.length };
  return { text: '(bad)', length: status === DECODE_TRUNCATED ? 0 : 1 };
}
