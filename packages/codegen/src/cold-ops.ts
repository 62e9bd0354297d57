/**
 * Opcodes of the cold tier's streams: one per IR op and operand form, derived from the op table. The first
 * `MAIN_COUNT` are handled inside the interpreter's loop, the rest (vectors, floats, rare 64-bit, all that calls) out of line, so that
 * the loop stays small enough to optimise well.
 */
import { F32, F64, I32, I64, OPS, V128 } from '@emkit/ir';
import type { OpDef } from '@emkit/ir';
import { TARGET_HISTORY } from './layout.ts';

export type ColdForm =
  /** Stream control, moves and constants. */
  | 'header'
  | 'hot'
  | 'dead'
  | 'mov'
  | 'const'
  /** Pure op: all operands in slots; `ri`: the second one is the immediate, of 64-bit ops sign-extended. */
  | 'rr'
  | 'ri'
  /** Byte and word moves between slots and memory at a constant address; indexed forms. */
  | 'envld'
  | 'envst'
  | 'envldx'
  | 'envstx'
  /** Guest memory; `rmw` loads check for write permission. */
  | 'mem'
  | 'rmw'
  | 'raise'
  | 'callw'
  | 'callj'
  | 'jmp'
  | 'br'
  | 'jmpind'
  | 'exit';

export interface ColdOp {
  readonly id: number;
  readonly form: ColdForm;
  /** IR op behind it, or -1. */
  readonly ir: number;
  /** 16-byte words the op takes. */
  readonly words: number;
}

/** 64-bit ops that ordinary 64-bit code is made of (and the wide division of 32-bit code). */
const COMMON_64 =
  /^i64_(extend_i32_[su]|extend32_s|add|sub|mul|and|or|xor|shl|shr_[su]|div_u|rem_u|eqz|eq|ne|lt_[su]|select)$|^i32_wrap_i64$/;

const isRare = (o: OpDef): boolean => {
  const types = [...o.ins, o.out];
  if (types.some((t) => t === V128 || t === F32 || t === F64)) return true;
  return o.effect === 'pure' && types.some((t) => t === I64) && !COMMON_64.test(o.name);
};

/** Not worth a form with an immediate: subtraction of a constant is an addition, the others seldom have one. */
const NO_RI_64 = /^i64_(sub|mul|div_[su]|rem_[su])$/;

const main: ColdOp[] = [];
const rare: ColdOp[] = [];
const ri = new Map<number, ColdOp>();
const rr = new Map<number, ColdOp>();
const rmw = new Map<number, ColdOp>();

const make = (list: ColdOp[], form: ColdForm, ir: number, words = 1): ColdOp => {
  const o: ColdOp = { id: list.length, form, ir, words };
  list.push(o);
  return o;
};

const HEADER_OP = make(main, 'header', -1);
const HOT_OP = make(main, 'hot', -1);
const DEAD_OP = make(main, 'dead', -1);
const named = (name: string): OpDef => OPS.find((o) => o.name === name)!;
const MOV32 = make(main, 'mov', named('get_i32').id);
const MOV64 = make(main, 'mov', named('get_i64').id);
const MOV128 = make(main, 'mov', named('get_v128').id);
const CONST32 = make(main, 'const', named('i32_const').id);
const CONST64 = make(main, 'const', named('i64_const').id);
const CONST128 = make(main, 'const', named('v128_const').id, 2);

for (const o of OPS) {
  const list = isRare(o) ? rare : main;
  switch (o.effect) {
    case 'pure':
      if (o.ins.length === 0) break;
      rr.set(o.id, make(list, 'rr', o.id, o.name === 'i8x16_shuffle' ? 2 : 1));
      if (
        o.ins.length === 2 &&
        o.ins[0] === o.ins[1] &&
        (o.ins[1] === I32 || (o.ins[1] === I64 && !NO_RI_64.test(o.name)))
      )
        ri.set(o.id, make(list, 'ri', o.id));
      break;
    case 'envld':
      if (o.ins.length === 0 && !/_8u|_16u/.test(o.name)) break; // plain slot moves
      rr.set(o.id, make(list, o.ins.length === 0 ? 'envld' : 'envldx', o.id));
      break;
    case 'envst':
      if (o.ins.length === 1 && !/_8|_16/.test(o.name)) break;
      rr.set(o.id, make(list, o.ins.length === 1 ? 'envst' : 'envstx', o.id));
      break;
    case 'load':
      rr.set(o.id, make(main, 'mem', o.id));
      rmw.set(o.id, make(main, 'rmw', o.id));
      break;
    case 'store':
      rr.set(o.id, make(main, 'mem', o.id));
      break;
    case 'guard':
      if (o.name === 'raise_if') rr.set(o.id, make(main, 'raise', o.id));
      break;
    case 'callw':
      rr.set(o.id, make(rare, 'callw', o.id, 2));
      break;
    case 'callj':
      rr.set(o.id, make(rare, 'callj', o.id, 2));
      break;
    case 'term': {
      const form: ColdForm = o.name === 'jmp' ? 'jmp' : o.name === 'br' ? 'br' : o.name === 'exit' ? 'exit' : 'jmpind';
      rr.set(o.id, make(main, form, o.id, form === 'br' ? 3 : form === 'jmpind' ? 1 + TARGET_HISTORY / 4 : 1));
      break;
    }
    default:
  }
}

export const MAIN_COUNT = main.length;
/** All cold ops; the index is the opcode in the stream. */
export const COLD_OPS: readonly ColdOp[] = [...main, ...rare.map((o) => ({ ...o, id: o.id + MAIN_COUNT }))];

const opcode = (o: ColdOp | undefined, list: ColdOp[]): number =>
  o === undefined ? -1 : list === rare ? o.id + MAIN_COUNT : o.id;
const inList = (o: ColdOp | undefined): number => opcode(o, o !== undefined && rare.includes(o) ? rare : main);

/** Opcode for an IR op in register form, immediate form, read-modify-write form; -1: no such form. */
export const COLD_RR = Int16Array.from(OPS, (o) => inList(rr.get(o.id)));
export const COLD_RI = Int16Array.from(OPS, (o) => inList(ri.get(o.id)));
export const COLD_RMW = Int16Array.from(OPS, (o) => inList(rmw.get(o.id)));
export const COLD = {
  HEADER: HEADER_OP.id,
  HOT: HOT_OP.id,
  DEAD: DEAD_OP.id,
  MOV32: MOV32.id,
  MOV64: MOV64.id,
  MOV128: MOV128.id,
  CONST32: CONST32.id,
  CONST64: CONST64.id,
  CONST128: CONST128.id,
} as const;
