/**
 * Opcode rows, and how instructions are added.
 * One row per instruction form, in the notation of the SDM's opcode maps (Vol. 2D Appendix A.2 "Key to Abbreviations"):
 *
 *   row('ADD', 'Ev,Gv', '01 /r', { fn: 'alu', arg: 0, lock: true })
 *   row('FADD', 'Mfs', 'D8 /0', { fn: 'fadd_m32', feature: 'fpu' })
 *   row('FADDP', 'STi,ST', 'DE C0+i', { ... })            second byte = a fixed ModRM byte, +i: 8 of them
 *   row('ADDPS', 'Vdq,Wdq', 'NP 0F 58 /r', { ... })       NP, 66, F3, F2: mandatory prefix
 *   row('MOVQ', 'Vdq,Eq', '66 REX.W 0F 6E /r', { ... })   64-bit code with REX.W; wins over the row without
 *   row('ANDN', 'Gy,By,Ey', 'VEX.NP.0F38 F2 /r', { ... })
 *   row('VPERMQ', 'Vx,Wx,Ib', 'VEX.256.66.0F3A.W1 00 /r', { ... })   128 or 256: VEX.L; W0 or W1: VEX.W; neither: any
 *
 * Encoding: [NP|66|F3|F2] [REX.W] [0F [38|3A]] opcode[+r] [modrm byte[+i]] [/r | /0../7]   (immediates follow from operands).
 *   A row without a prefix token takes any prefix, unless another row claims the same opcode with that prefix.
 *   `66` rows do NOT see a 16-bit operand size in `v` operands of vector forms (they name none); for F2/F3 rows 66 still
 *   selects the operand size (POPCNT r16).
 * Operands: method letter(s) + size letter(s).
 *   E r/m: general register or memory   G ModRM.reg general register   Z register in opcode bits 0-2   M memory only
 *   R r/m, register only   I immediate   sI immediate, sign-extended   J relative offset   O moffs   A far pointer
 *   S segment register   C control register   D debug register   X DS:eSI   Y ES:eDI   B VEX.vvvv general register
 *   P MMX register (reg)  N MMX register (r/m, register only)  Q MMX register or memory
 *   V XMM register (reg)  U XMM register (r/m, register only)  W XMM register or memory
 *   H XMM or YMM register in VEX.vvvv   L XMM or YMM register in bits 4-7 of the immediate byte
 *   AL CL DX rAX 1 3 ES CS SS DS FS GS: fixed.   ST STi: x87 stack (for the disassembler).
 *   sizes: b 1, w 2, d 4, q 8, dq 16, v operand size, z operand size up to 4, y 4 (8 at operand size 8), p far pointer, qq 32, x 16 or 32 by VEX.L,
 *   s 6-byte pseudo descriptor, a two v; fs fd ft 4/8/10-byte real, iw id iq 2/4/8-byte integer, bcd 10, env st: area.
 *   W/Q operands with b w d q sizes: the memory operand's size (register: whole register).
 * Options: fn = handler name (default: mnemonic in lower case), arg = number for the handler (t.insn.row.arg),
 *   feature (a name of models/features.ts, e.g. 'sse2'; #UD without it), lock: LOCK allowed when operand 0 is memory, mem / reg: only the memory / register form.
 *   64-bit code: no64: #UD there; only64: exists there alone; the operand size there: f64: always 8; d64: 8, or 2 with 66; noW: REX.W does not make it 8.
 *   vsib: the memory operand has a vector of indices: SIB is demanded, and its index is a vector register.
 *
 * Handlers.
 * A handler translates one decoded instruction: (t: Translator, i: Insn) => void. Tables of handlers are records
 * name -> Handler (type HandlerTable in translate/translator.ts); translate/handlers.ts merges
 *   INTEGER handlers, and FPU_HANDLERS from ../fpu/handlers.ts.
 * decode/table.ts merges the integer rows, and FPU_ROWS: readonly RowSpec[] from ../fpu/rows.ts.
 * Every row's fn must exist, checked by a test. See translate/translator.ts for the operand API.
 */
import { FEATURE } from './features.ts';
import type { FeatureName } from './features.ts';

export interface RowOptions {
  readonly fn?: string;
  readonly arg?: number;
  readonly feature?: FeatureName;
  readonly lock?: true;
  readonly mem?: true;
  readonly reg?: true;
  readonly no64?: true;
  readonly only64?: true;
  readonly f64?: true;
  readonly d64?: true;
  readonly noW?: true;
  readonly vsib?: true;
  /** Spelling in AT&T syntax when it is not the mnemonic in lower case (without size suffix). */
  readonly att?: string;
}

export interface RowSpec {
  readonly mnemonic: string;
  readonly operands: string;
  readonly encoding: string;
  readonly options: RowOptions;
}

export const row = (mnemonic: string, operands: string, encoding: string, options: RowOptions = {}): RowSpec => ({
  mnemonic,
  operands,
  encoding,
  options,
});

/** Addressing methods. */
export const OP_NONE = 0;
export const OP_E = 1;
export const OP_G = 2;
export const OP_Z = 3;
export const OP_M = 4;
export const OP_R = 5;
export const OP_I = 6;
export const OP_SI = 7;
export const OP_J = 8;
export const OP_O = 9;
export const OP_A = 10;
export const OP_S = 11;
export const OP_C = 12;
export const OP_D = 13;
export const OP_X = 14;
export const OP_Y = 15;
export const OP_B = 16;
export const OP_P = 17;
export const OP_N = 18;
export const OP_Q = 19;
export const OP_V = 20;
export const OP_U = 21;
export const OP_W = 22;
/** Fixed general register: number in `fixed`. */
export const OP_FIXED = 23;
export const OP_CONST = 24;
export const OP_SEG = 25;
export const OP_ST = 26;
export const OP_STI = 27;
export const OP_H = 28;
export const OP_L = 29;

/** Operand sizes: below 8 log2 of bytes, else resolved by the instruction's operand size. */
export const SZ_B = 0;
export const SZ_W = 1;
export const SZ_D = 2;
export const SZ_Q = 3;
export const SZ_X = 4;
export const SZ_QQ = 5;
export const SZ_V = 8;
export const SZ_Z = 9;
export const SZ_Y = 10;
export const SZ_P = 11;
export const SZ_S = 12;
export const SZ_A = 13;
export const SZ_T = 14;
export const SZ_AREA = 15;
/** 16 or 32 bytes by VEX.L. */
export const SZ_L = 16;

/** What follows the ModRM part. */
export const IMM_NONE = 0;
export const IMM_B = 1; // zero-extended byte
export const IMM_SB = 2; // sign-extended byte
export const IMM_W = 3;
export const IMM_Z = 4; // 2 or 4 bytes by operand size
export const IMM_MOFFS = 5; // by address size
export const IMM_V = 6;

const METHODS: Readonly<Record<string, number>> = {
  E: OP_E,
  G: OP_G,
  Z: OP_Z,
  M: OP_M,
  R: OP_R,
  I: OP_I,
  sI: OP_SI,
  J: OP_J,
  O: OP_O,
  A: OP_A,
  S: OP_S,
  C: OP_C,
  D: OP_D,
  X: OP_X,
  Y: OP_Y,
  B: OP_B,
  P: OP_P,
  N: OP_N,
  Q: OP_Q,
  V: OP_V,
  U: OP_U,
  W: OP_W,
  H: OP_H,
  L: OP_L,
};
const SIZES: Readonly<Record<string, number>> = {
  '': SZ_AREA,
  b: SZ_B,
  w: SZ_W,
  d: SZ_D,
  q: SZ_Q,
  dq: SZ_X,
  v: SZ_V,
  z: SZ_Z,
  y: SZ_Y,
  p: SZ_P,
  s: SZ_S,
  a: SZ_A,
  fs: SZ_D,
  fd: SZ_Q,
  ft: SZ_T,
  iw: SZ_W,
  id: SZ_D,
  iq: SZ_Q,
  bcd: SZ_T,
  env: SZ_AREA,
  st: SZ_AREA,
  qq: SZ_QQ,
  x: SZ_L,
};
const FIXED: Readonly<Record<string, readonly [number, number, number]>> = {
  AL: [OP_FIXED, 0, SZ_B],
  CL: [OP_FIXED, 1, SZ_B],
  AX: [OP_FIXED, 0, SZ_W],
  DX: [OP_FIXED, 2, SZ_W],
  rAX: [OP_FIXED, 0, SZ_V],
  eAX: [OP_FIXED, 0, SZ_Z],
  1: [OP_CONST, 1, SZ_B],
  3: [OP_CONST, 3, SZ_B],
  ES: [OP_SEG, 0, SZ_W],
  CS: [OP_SEG, 1, SZ_W],
  SS: [OP_SEG, 2, SZ_W],
  DS: [OP_SEG, 3, SZ_W],
  FS: [OP_SEG, 4, SZ_W],
  GS: [OP_SEG, 5, SZ_W],
  ST: [OP_ST, 0, SZ_T],
  STi: [OP_STI, 0, SZ_T],
};

export interface Operand {
  readonly method: number;
  readonly size: number;
  /** Register number or constant of a fixed operand. */
  readonly fixed: number;
  readonly text: string;
}

/** Rules of the operand size in 64-bit code. SDM Vol. 2D Appendix A.2.5, superscripts f64 and d64. */
export const SIZE64_NORMAL = 0;
export const SIZE64_FORCED = 1;
export const SIZE64_DEFAULT = 2;
export const SIZE64_NO_W = 3;

/** A row made numeric. */
export interface OpRow {
  readonly id: number;
  readonly mnemonic: string;
  readonly text: string;
  readonly fn: string;
  readonly arg: number;
  readonly feature: number;
  readonly lock: boolean;
  readonly att: string;
  readonly operands: readonly Operand[];
  /** Of operands 0..3, for the hot path: method, size, fixed value. */
  readonly method0: number;
  readonly size0: number;
  readonly hasModrm: boolean;
  readonly imm1: number;
  readonly imm2: number;
  /** The 66 prefix is part of the opcode and does not change the operand size. */
  readonly vector: boolean;
  // --- encoding ---
  readonly map: number;
  readonly opcode: number;
  /** 1 or 8 opcodes (+r). */
  readonly opcodes: number;
  /** -1 any, 0 none, 1 66, 2 F3, 3 F2. */
  readonly prefix: number;
  /** REX.W or VEX.W must be this; -1 any. */
  readonly w: number;
  /** VEX.L must be this; -1 any. */
  readonly vexL: number;
  /** No operand in VEX.vvvv: it must be 1111b. */
  readonly noVvvv: boolean;
  readonly vsib: boolean;
  readonly no64: boolean;
  readonly only64: boolean;
  /** SIZE64_*. */
  readonly size64: number;
  /** REX.R, REX.B do not extend the register number: MMX, segment and x87 registers. */
  readonly plainReg: boolean;
  readonly plainRm: boolean;
  /** Fixed ModRM byte(s), or -1. */
  readonly modrm: number;
  readonly modrms: number;
  /** ModRM.reg digit, or -1. */
  readonly digit: number;
  readonly form: 'both' | 'mem' | 'reg';
}

/** Opcode maps. */
export const MAP_ONE = 0;
export const MAP_0F = 1;
export const MAP_0F38 = 2;
export const MAP_0F3A = 3;
export const MAP_VEX = 4; // + 1 0F, + 2 0F38, + 3 0F3A
export const MAP_COUNT = 8;

function parseOperand(text: string): Operand {
  const fixed = FIXED[text];
  if (fixed !== undefined) return { method: fixed[0], fixed: fixed[1], size: fixed[2], text };
  const m = /^(sI|[A-Z])([a-z]*)$/.exec(text);
  const method = m === null ? undefined : METHODS[m[1]!];
  const size = m === null ? undefined : SIZES[m[2]!];
  if (method === undefined || size === undefined) throw new Error(`operand '${text}'`);
  return { method, size, fixed: 0, text };
}

function immediateOf(o: Operand): number {
  switch (o.method) {
    case OP_SI:
      return IMM_SB;
    case OP_J:
      return o.size === SZ_B ? IMM_SB : IMM_Z;
    case OP_O:
      return IMM_MOFFS;
    case OP_A:
      return IMM_Z;
    case OP_L:
      return IMM_B;
    case OP_I:
      if (o.size === SZ_B) return IMM_B;
      if (o.size === SZ_W) return IMM_W;
      return o.size === SZ_V ? IMM_V : IMM_Z;
    default:
      return IMM_NONE;
  }
}

/** Parse one row; throws with the row's text on anything it does not understand. */
export function compileRow(spec: RowSpec, id: number): OpRow {
  const text = `${spec.mnemonic} ${spec.operands} = ${spec.encoding}`;
  try {
    const operands = spec.operands === '' ? [] : spec.operands.split(',').map(parseOperand);
    const tokens: string[] = spec.encoding.split(' ');
    let prefix = -1;
    let map = MAP_ONE;
    let w = -1;
    let vexL = -1;
    const vex = /^VEX\.(?:(128|256)\.)?(NP|66|F3|F2)\.(0F|0F38|0F3A)(?:\.W([01]))?$/.exec(tokens[0]!);
    const prefixes = ['NP', '66', 'F3', 'F2'];
    if (vex !== null) {
      vexL = vex[1] === undefined ? -1 : vex[1] === '256' ? 1 : 0;
      prefix = prefixes.indexOf(vex[2]!);
      map = MAP_VEX + { '0F': 1, '0F38': 2, '0F3A': 3 }[vex[3] as '0F'];
      if (vex[4] !== undefined) w = Number(vex[4]);
      tokens.shift();
    } else {
      if (prefixes.includes(tokens[0]!) && tokens.length > 1 && /^(0F|90|D9|REX\.W)$/.test(tokens[1]!))
        prefix = prefixes.indexOf(tokens.shift()!);
      if (tokens[0] === 'REX.W') {
        w = 1;
        tokens.shift();
      }
      const [first, second, third] = tokens;
      if (first === '0F' && second !== undefined) {
        map = MAP_0F;
        if (third !== undefined && (second === '38' || second === '3A')) map = second === '38' ? MAP_0F38 : MAP_0F3A;
        tokens.splice(0, map === MAP_0F ? 1 : 2);
      }
    }
    const code = /^([0-9A-F]{2})(\+r)?$/.exec(tokens.shift() ?? '');
    if (code === null) throw new Error('opcode');
    let modrm = -1;
    let modrms = 1;
    let digit = -1;
    let slash = false;
    for (const token of tokens) {
      const byte = /^([0-9A-F]{2})(\+i)?$/.exec(token);
      if (byte !== null) {
        modrm = parseInt(byte[1]!, 16);
        modrms = byte[2] === undefined ? 1 : 8;
      } else if (token === '/r') slash = true;
      else if (/^\/[0-7]$/.test(token)) {
        digit = Number(token[1]);
        slash = true;
      } else throw new Error(`token '${token}'`);
    }
    const usesModrm = operands.some((o) =>
      [OP_E, OP_G, OP_M, OP_R, OP_S, OP_C, OP_D, OP_P, OP_N, OP_Q, OP_V, OP_U, OP_W].includes(o.method),
    );
    if (usesModrm && !slash && modrm < 0) throw new Error('operands need ModRM');
    let form: OpRow['form'] = 'both';
    if (spec.options.mem === true || operands.some((o) => o.method === OP_M)) form = 'mem';
    if (
      spec.options.reg === true ||
      operands.some((o) => o.method === OP_R || o.method === OP_N || o.method === OP_U)
    ) {
      if (form === 'mem') throw new Error('both memory and register only');
      form = 'reg';
    }
    const immediates = operands.map(immediateOf).filter((k) => k !== IMM_NONE);
    if (operands.some((o) => o.method === OP_A)) immediates.push(IMM_W);
    if (immediates.length > 2) throw new Error('more than two immediates');
    const feature = FEATURE[spec.options.feature ?? 'none'];
    if (feature === undefined) throw new Error(`feature '${spec.options.feature}'`);
    const vector = prefix >= 0 && operands.some((o) => o.method >= OP_P && o.method <= OP_W);
    const { f64, d64, noW } = spec.options;
    const has = (...methods: number[]): boolean => operands.some((o) => methods.includes(o.method));
    return {
      id,
      mnemonic: spec.mnemonic,
      text,
      fn: spec.options.fn ?? spec.mnemonic.toLowerCase(),
      arg: spec.options.arg ?? 0,
      feature,
      lock: spec.options.lock === true,
      att: spec.options.att ?? spec.mnemonic.toLowerCase(),
      operands,
      method0: operands[0]?.method ?? OP_NONE,
      size0: operands[0]?.size ?? SZ_AREA,
      hasModrm: slash || modrm >= 0,
      imm1: immediates[0] ?? IMM_NONE,
      imm2: immediates[1] ?? IMM_NONE,
      vector,
      map,
      opcode: parseInt(code[1]!, 16),
      opcodes: code[2] === undefined ? 1 : 8,
      prefix,
      w,
      vexL,
      noVvvv: map >= MAP_VEX && !has(OP_B, OP_H),
      vsib: spec.options.vsib === true,
      no64: spec.options.no64 === true,
      only64: spec.options.only64 === true || (map < MAP_VEX && w === 1),
      size64: f64 ? SIZE64_FORCED : d64 ? SIZE64_DEFAULT : noW ? SIZE64_NO_W : SIZE64_NORMAL,
      plainReg: has(OP_P, OP_S),
      plainRm: has(OP_N, OP_Q) || modrm >= 0,
      modrm,
      modrms,
      digit,
      form,
    };
  } catch (error) {
    throw new Error(`opcode row '${text}': ${(error as Error).message}`, { cause: error });
  }
}
