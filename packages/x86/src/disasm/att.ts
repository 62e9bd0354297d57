/**
 * Disassembler in AT&T syntax, from the same opcode rows as the translator: one line of text per instruction, spelled as
 * GNU objdump spells it. Operand order is reversed from the manual's; a size suffix appears where no register operand
 * tells the size. What cannot be decoded comes out as `(bad)`, one byte long.
 */
import { DECODE_32, DECODE_OK, DECODE_TRUNCATED, DECODE_VEX, decode } from '../decode/decoder.ts';
import { ALL_FEATURES, decodeFeatures } from '../decode/features.ts';
import { Insn, REP_E, REP_NE } from '../decode/insn.ts';
import {
  OP_A,
  OP_B,
  OP_C,
  OP_CONST,
  OP_D,
  OP_E,
  OP_FIXED,
  OP_G,
  OP_I,
  OP_J,
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
  SZ_V,
  SZ_Y,
  SZ_Z,
} from '../decode/row.ts';
import type { Operand } from '../decode/row.ts';
import { attMnemonic } from './mnemonic.ts';

export interface Disassembly {
  readonly text: string;
  /** Bytes; 0 when the bytes end within the instruction. */
  readonly length: number;
}

const REG32 = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
const REG16 = REG32.map((r) => r.slice(1));
const REG8 = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', '?', '?'];
const hex = (v: number): string => `0x${(v >>> 0).toString(16)}`;
const signedHex = (v: number): string => (v < 0 ? `-0x${(-v).toString(16)}` : hex(v));
const SET = new Uint8Array(decodeFeatures(ALL_FEATURES));

export const registerName = (n: number, size: number): string =>
  `%${size === 0 ? REG8[n] : size === 1 ? REG16[n] : REG32[n]}`;

/** log2 bytes of an operand. */
export function operandSize(o: Operand, i: Insn): number {
  if (o.size === SZ_V || o.size === SZ_Z) return i.size;
  return o.size === SZ_Y ? 2 : o.size;
}

/** Instructions whose string operands show no segment override of their own destination. */
function memory(i: Insn): string {
  const prefix = i.override >= 0 ? `%${SEGMENTS[i.override]}:` : '';
  const names = i.asize === 2 ? REG32 : REG16;
  const disp = i.mod === 0 && i.base >= 0 && i.disp === 0 ? '' : null;
  const none = i.base < 0 && i.index < 0;
  // SIB without index: %eiz stands for it, except with ESP as base, which needs a SIB
  const eiz = i.asize === 2 && i.modrm >= 0 && i.rm === 4 && i.index < 0 && (i.base !== 4 || i.scale !== 0);
  if (none && !eiz) return `${prefix}${hex(i.asize === 1 ? i.disp & 0xffff : i.disp)}`;
  const shown = disp ?? signedHex(i.disp);
  const base = i.base >= 0 ? `%${names[i.base]}` : '';
  if (i.asize === 1) return `${prefix}${shown}(${base}${i.index >= 0 ? `,%${names[i.index]}` : ''})`;
  const index = i.index >= 0 ? `,%${names[i.index]},${1 << i.scale}` : eiz ? `,%eiz,${1 << i.scale}` : '';
  return `${prefix}${shown}(${base}${index})`;
}

function immediate(v: number, size: number): string {
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
        );
      return memory(i);
    case OP_M:
    case OP_O:
      return memory(i);
    case OP_G:
      return registerName(i.reg, size);
    case OP_Z:
      return registerName(i.opcode & 7, size);
    case OP_B:
      return registerName(i.vexV & 7, 2);
    case OP_FIXED:
      return o.text === 'DX' && /^(IN|OUT|INS|OUTS)$/.test(i.row.mnemonic) ? '(%dx)' : registerName(o.fixed, size);
    case OP_CONST:
      return `$${hex(o.fixed)}`;
    case OP_I:
      return immediate(n > 0 && i.row.operands[n - 1].method === OP_I ? i.imm2 : i.imm, size);
    case OP_SI:
      return immediate(i.imm, i.row.operands.length > 1 ? operandSize(i.row.operands[0], i) : i.size);
    case OP_J:
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
      return `%xmm${i.reg}`;
    case OP_U:
      return `%xmm${i.rm}`;
    case OP_W:
      return i.mod === 3 ? `%xmm${i.rm}` : memory(i);
    case OP_X:
      return `%${SEGMENTS[i.segment]}:(%${(i.asize === 2 ? REG32 : REG16)[6]})`;
    case OP_Y:
      return `%es:(%${(i.asize === 2 ? REG32 : REG16)[7]})`;
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
const NO_COUNT = /^(RO[LR]|RC[LR]|S[AH][LR])$/;

function format(i: Insn, eip: number, bits: number): string {
  const { row } = i;
  const next = eip + i.length;
  let operands = row.operands.map((o, n) => operandText(o, n, i, next));
  // shift by the constant 1: no count
  if (NO_COUNT.test(row.mnemonic) && row.operands[1]?.method === OP_CONST) operands = operands.slice(0, 1);
  // control and debug registers name their operand in 32 bits; an indirect branch gets a star
  if (/^(call_ind|jmp_ind|call_far_mem|jmp_far_mem)$/.test(row.fn)) operands = operands.map((t) => `*${t}`);
  if (/^FCOMP?$/.test(row.mnemonic) && row.operands.length === 2) operands = operands.slice(1);
  if (row.mnemonic === 'XLAT') operands = [`%${SEGMENTS[i.segment]}:(%${i.asize === 2 ? 'ebx' : 'bx'})`];
  if (!KEEPS_ORDER.test(row.mnemonic)) operands.reverse();
  const mnemonic = attMnemonic(i, bits);
  let prefix = i.lock ? 'lock ' : '';
  if (row.operands.some((o) => o.method === OP_X || o.method === OP_Y) && i.rep !== 0) {
    const compares = /^(CMPS|SCAS)$/.test(row.mnemonic);
    if (i.rep === REP_E) prefix += compares ? 'repz ' : 'rep ';
    else if (i.rep === REP_NE) prefix += 'repnz ';
  }
  return operands.length === 0
    ? prefix + mnemonic
    : `${prefix}${mnemonic.padEnd(prefix === '' ? 6 : 0)} ${operands.join(',')}`;
}

/**
 * One instruction at `bytes[0]`, for 16- or 32-bit code; `eip` is where it stands (branch targets). Any bytes are
 * accepted.
 */
export function disassemble(bytes: Uint8Array, eip: number, bits: 16 | 32): Disassembly {
  if (bytes.length === 0) return { text: '', length: 0 };
  const i = new Insn();
  const status = decode(i, bytes, 0, bytes.length, (bits === 32 ? DECODE_32 : 0) | DECODE_VEX, SET);
  if (status === DECODE_OK) return { text: format(i, eip, bits), length: i.length };
  return { text: '(bad)', length: status === DECODE_TRUNCATED ? 0 : 1 };
}
