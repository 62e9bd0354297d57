/**
 * The instruction decoder: bytes in, an `Insn` out; no state, no allocation. It knows encodings only: prefixes, opcode
 * maps, ModRM and SIB, displacement, immediates, the 15-byte limit, and which forms exist (table.ts).
 * 16-, 32- and 64-bit code. Spec: SDM Vol. 2A Chapter 2 "Instruction Format", §2.2 for 64-bit code; LOCK: Vol. 2A "LOCK".
 */
import { DS, EBP, EBX, ESI, EDI, ESP, SS } from '../state.ts';
import type { Insn } from './insn.ts';
import { REP_E, REP_NE } from './insn.ts';
import {
  IMM_B,
  IMM_MOFFS,
  IMM_NONE,
  IMM_SB,
  IMM_V,
  IMM_W,
  IMM_Z,
  MAP_0F,
  MAP_0F38,
  MAP_0F3A,
  MAP_ONE,
  MAP_VEX,
  OP_E,
  OP_M,
  SIZE64_DEFAULT,
  SIZE64_FORCED,
  SIZE64_NORMAL,
} from './row.ts';
import {
  OPCODES,
  SLOT_BYTE,
  SLOT_DIGIT,
  SLOT_MODRM,
  SLOT_PREFIX,
  SLOT_REGISTER,
  SLOT_USED,
  VARIANT_64,
  VARIANT_L,
  VARIANT_SLOTS,
} from './table.ts';

/** Results of `decode`. */
export const DECODE_OK = 0;
/** More bytes are needed than `end` allows. */
export const DECODE_TRUNCATED = 1;
/** Undefined opcode: #UD. */
export const DECODE_UNDEFINED = 2;
/** More than 15 bytes: #GP(0). */
export const DECODE_TOO_LONG = 3;

export const MAX_INSN_LENGTH = 15;

/** Mode bits for `decode`. */
export const DECODE_32 = 1;
/** VEX prefixes exist (protected mode, not virtual-8086). */
export const DECODE_VEX = 2;
/** 64-bit code; the other two do not matter then. */
export const DECODE_64 = 4;

/** Bits of REX, and of VEX in the same places. */
const REX_W = 8;
const REX_R = 4;
const REX_X = 2;
const REX_B = 1;

const PREFIX_CLASS = new Uint8Array(256);
for (const [byte, n] of [
  [0x26, 1],
  [0x2e, 1],
  [0x36, 1],
  [0x3e, 1],
  [0x64, 1],
  [0x65, 1],
  [0x66, 2],
  [0x67, 3],
  [0xf0, 4],
  [0xf3, 5],
  [0xf2, 6],
] as const)
  PREFIX_CLASS[byte] = n;
/** Base and index register of 16-bit addressing by r/m. SDM Vol. 2A Table 2-1. */
const BASE16 = Int8Array.of(EBX, EBX, EBP, EBP, ESI, EDI, EBP, EBX);
const INDEX16 = Int8Array.of(ESI, EDI, ESI, EDI, -1, -1, -1, -1);

const { rows: ROWS, flags: SLOT, base: SLOT_BASE, entries: ENTRIES } = OPCODES;

/**
 * Decode the instruction at u8[pos]; bytes at `end` and beyond may not be used. Hot path.
 * On DECODE_OK every field of `insn` is set; otherwise only `length` has a meaning (bytes looked at).
 */
export function decode(
  insn: Insn,
  u8: Uint8Array,
  pos: number,
  end: number,
  mode: number,
  features: Uint8Array,
): number {
  const stop = end - pos > MAX_INSN_LENGTH ? pos + MAX_INSN_LENGTH : end;
  const over = end - pos >= MAX_INSN_LENGTH ? DECODE_TOO_LONG : DECODE_TRUNCATED;
  let p = pos;
  let rep = 0;
  let lock = false;
  let p66 = false;
  let p67 = false;
  let override = -1;
  const is64 = (mode & DECODE_64) !== 0;
  let rex = 0;
  let byte = 0;
  for (;;) {
    if (p >= stop) return over;
    byte = u8[p++]!;
    const c = PREFIX_CLASS[byte]!;
    if (c === 0) {
      if (!is64 || (byte & 0xf0) !== 0x40) break;
      rex = byte;
      continue;
    }
    // a REX prefix counts only directly before the opcode
    rex = 0;
    switch (c) {
      case 1:
        // ES, CS, SS, DS do nothing in 64-bit code, not even end the effect of FS or GS
        if (byte >= 0x64) override = byte - 0x60;
        else if (!is64) override = (byte >> 3) & 3;
        break;
      case 2:
        p66 = true;
        break;
      case 3:
        p67 = true;
        break;
      case 4:
        lock = true;
        break;
      case 5:
        rep = REP_E;
        break;
      default:
        rep = REP_NE;
    }
  }
  let map = MAP_ONE;
  let prefix = rep !== 0 ? rep + 1 : p66 ? 1 : 0;
  let ext = rex & 15;
  insn.is64 = is64;
  insn.rex = rex;
  insn.vexL = -1;
  insn.vexV = 0;
  insn.vexW = 0;
  if (byte === 0x0f) {
    if (p >= stop) return over;
    byte = u8[p++]!;
    map = MAP_0F;
    if (byte === 0x38 || byte === 0x3a) {
      map = byte === 0x38 ? MAP_0F38 : MAP_0F3A;
      if (p >= stop) return over;
      byte = u8[p++]!;
    }
  } else if ((byte === 0xc4 || byte === 0xc5) && (mode & (DECODE_VEX | DECODE_64)) !== 0) {
    if (p >= stop) return over;
    if (is64 || u8[p]! >= 0xc0) {
      insn.length = p - pos;
      // SDM Vol. 2A §2.3.2: VEX after LOCK, 66, F2, F3 or REX is #UD
      if (lock || p66 || rep !== 0 || rex !== 0) return DECODE_UNDEFINED;
      let last = u8[p++]!;
      let m = 1;
      // R, X and B are inverted
      ext = (~last >> 5) & REX_R;
      if (byte === 0xc4) {
        m = last & 31;
        ext = (~last >> 5) & (REX_R | REX_X | REX_B);
        if (p >= stop) return over;
        last = u8[p++]!;
        insn.vexW = last >> 7;
        ext |= insn.vexW * REX_W;
      }
      if (m === 0 || m > 3) return DECODE_UNDEFINED;
      insn.vexL = (last >> 2) & 1;
      insn.vexV = (~last >> 3) & (is64 ? 15 : 7);
      map = MAP_VEX + m;
      prefix = last & 3;
      if (p >= stop) return over;
      byte = u8[p++]!;
    }
  }
  const variant = (ext >> 3) | (is64 ? VARIANT_64 : 0) | (insn.vexL > 0 ? VARIANT_L : 0);
  const slot = variant * VARIANT_SLOTS + map * 256 + byte;
  if (!is64) ext = 0;
  const kind = SLOT[slot]!;
  insn.length = p - pos;
  if ((kind & SLOT_USED) === 0) return DECODE_UNDEFINED;
  insn.opcode = byte;
  const is32 = (mode & DECODE_32) !== 0;
  const asize = is64 ? (p67 ? 2 : 3) : is32 !== p67 ? 2 : 1;
  insn.asize = asize;
  insn.size = (ext & REX_W) !== 0 ? 3 : (is64 || is32) !== p66 ? 2 : 1;
  insn.ripRelative = false;
  insn.rep = rep;
  insn.lock = lock;
  insn.prefix66 = p66;
  insn.override = override;
  insn.segment = override >= 0 ? override : DS;
  let entry = SLOT_BASE[slot]!;
  if ((kind & SLOT_MODRM) !== 0) {
    if (p >= stop) return over;
    const modrm = u8[p++]!;
    const mod = (kind & SLOT_REGISTER) !== 0 ? 3 : modrm >> 6;
    insn.modrm = modrm;
    insn.mod = mod;
    insn.reg = ((modrm >> 3) & 7) | ((ext & REX_R) << 1);
    insn.rm = modrm & 7;
    if ((kind & SLOT_BYTE) !== 0) entry += ((kind & SLOT_PREFIX) !== 0 ? prefix << 8 : 0) + modrm;
    else if ((kind & SLOT_DIGIT) !== 0)
      entry += ((kind & SLOT_PREFIX) !== 0 ? prefix << 4 : 0) + ((modrm >> 3) & 7) + (mod === 3 ? 8 : 0);
    else if ((kind & SLOT_PREFIX) !== 0) entry += prefix;
    if (mod === 3) insn.rm |= (ext & REX_B) << 3;
    else {
      let dispSize = mod === 1 ? 1 : mod === 2 ? (asize >= 2 ? 4 : 2) : 0;
      let base: number;
      insn.scale = 0;
      if (asize >= 2) {
        base = modrm & 7;
        insn.index = -1;
        let rip = is64;
        if (base === 4) {
          if (p >= stop) return over;
          const sib = u8[p++]!;
          base = sib & 7;
          const index = ((sib >> 3) & 7) | ((ext & REX_X) << 2);
          if (index !== 4) insn.index = index;
          insn.scale = sib >> 6;
          rip = false;
        }
        if (base === EBP && mod === 0) {
          base = -1;
          dispSize = 4;
          insn.ripRelative = rip;
        } else base |= (ext & REX_B) << 3;
        if ((base === ESP || base === EBP) && override < 0) insn.segment = SS;
      } else {
        const rm = modrm & 7;
        base = BASE16[rm]!;
        insn.index = INDEX16[rm]!;
        if (rm === 6 && mod === 0) {
          base = -1;
          dispSize = 2;
        }
        if (base === EBP && override < 0) insn.segment = SS;
      }
      insn.base = base;
      if (dispSize === 0) insn.disp = 0;
      else {
        if (p + dispSize > stop) return over;
        if (dispSize === 1) insn.disp = (u8[p]! << 24) >> 24;
        else if (dispSize === 2) insn.disp = ((u8[p]! | (u8[p + 1]! << 8)) << 16) >> 16;
        else insn.disp = u8[p]! | (u8[p + 1]! << 8) | (u8[p + 2]! << 16) | (u8[p + 3]! << 24);
        p += dispSize;
      }
    }
  } else {
    insn.modrm = -1;
    insn.mod = 3;
    insn.rm = (byte & 7) | ((ext & REX_B) << 3);
    if ((kind & SLOT_PREFIX) !== 0) entry += prefix;
    // 90 with REX.B is no NOP: the exchange of rAX and R8
    if (byte === 0x90 && (ext & REX_B) !== 0) entry = SLOT_BASE[slot + 1]!;
  }
  insn.length = p - pos;
  const id = ENTRIES[entry]!;
  if (id < 0) return DECODE_UNDEFINED;
  const row = ROWS[id]!;
  insn.row = row;
  if (row.vector && insn.size < 2) insn.size = 2;
  if (is64) {
    if (row.size64 !== SIZE64_NORMAL) {
      if (row.size64 === SIZE64_FORCED) insn.size = 3;
      else if (row.size64 === SIZE64_DEFAULT) insn.size = insn.size === 1 ? 1 : 3;
      else if (insn.size === 3) insn.size = 2;
    }
    if (row.plainReg) insn.reg &= 7;
    if (row.plainRm) insn.rm &= 7;
  }
  const immediate = row.imm1;
  if (immediate !== IMM_NONE) {
    const n = immediateBytes(immediate, insn.size, asize);
    if (p + n > stop) return over;
    let v = u8[p]!;
    if (n === 1) v = immediate === IMM_SB ? (v << 24) >> 24 : v;
    else {
      v |= u8[p + 1]! << 8;
      if (n >= 4) v |= (u8[p + 2]! << 16) | (u8[p + 3]! << 24);
    }
    insn.imm = v;
    insn.immHigh = v >> 31;
    if (n === 8) insn.immHigh = u8[p + 4]! | (u8[p + 5]! << 8) | (u8[p + 6]! << 16) | (u8[p + 7]! << 24);
    p += n;
    if (immediate === IMM_MOFFS) {
      if (n < 8) insn.immHigh = 0;
      // the address is the operand: a memory operand without registers
      insn.base = -1;
      insn.index = -1;
      insn.disp = v;
      insn.mod = 0;
    }
    if (row.imm2 !== IMM_NONE) {
      const m = row.imm2 === IMM_W ? 2 : 1;
      if (p + m > stop) return over;
      insn.imm2 = m === 2 ? u8[p]! | (u8[p + 1]! << 8) : u8[p]!;
      p += m;
    }
  }
  insn.length = p - pos;
  if (features[row.feature] === 0) return DECODE_UNDEFINED;
  if (map >= MAP_VEX) {
    if (row.noVvvv && insn.vexV !== 0) return DECODE_UNDEFINED;
    if (row.vsib) {
      if ((insn.modrm & 7) !== 4) return DECODE_UNDEFINED;
      // 4 is an index like any other
      if (insn.index < 0) insn.index = 4;
    }
  }
  if (lock && !(row.lock && insn.mod !== 3 && (row.method0 === OP_E || row.method0 === OP_M))) return DECODE_UNDEFINED;
  return DECODE_OK;
}

function immediateBytes(kind: number, size: number, asize: number): number {
  switch (kind) {
    case IMM_B:
    case IMM_SB:
      return 1;
    case IMM_W:
      return 2;
    case IMM_MOFFS:
      return 1 << asize;
    case IMM_V:
      return 1 << size;
    case IMM_Z:
    default:
      return size === 1 ? 2 : 4;
  }
}
