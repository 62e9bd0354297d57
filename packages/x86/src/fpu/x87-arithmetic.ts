/**
 * Handlers of x87 arithmetic: FADD..FDIVR in all operand forms, the one- and two-operand functions, FXTRACT, FPREM,
 * the transcendental functions, FCHS, FABS, FCMOVcc. SDM Vol. 2A under each mnemonic.
 */
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ } from '../translate/translator.ts';
import { ENV } from '../state.ts';
import {
  COMMIT_MOVE,
  COMMIT_PREM,
  COMMIT_TRIG,
  COMMIT_TWO,
  FSW_C0,
  FSW_C1,
  FSW_C2,
  FSW_C3,
  FSW_CC,
  STACK_OVERFLOW,
  STACK_UNDERFLOW,
} from './x87-bits.ts';
import {
  X87_OPERAND,
  X87_RESULT,
  X87_RESULT2,
  bailUnmasked,
  commitByHelper,
  copy,
  empty,
  fcw,
  full,
  load16,
  load64,
  moveTop,
  setTag,
  st,
  store16,
  toRegister,
  updateStatus,
  x87Ready,
} from './x87-stack.ts';

/** name of the operation, operands reversed. */
const BINARY: readonly (readonly [name: string, op: string, reversed: boolean])[] = [
  ['fadd', 'add', false],
  ['fmul', 'mul', false],
  ['fsub', 'sub', false],
  ['fsubr', 'sub', true],
  ['fdiv', 'div', false],
  ['fdivr', 'div', true],
];

/** ST(dst) = ST(a) op ST(b). */
function registerForm(t: Translator, op: string, dst: number, a: number, c: number, pops: number): void {
  const { b } = t;
  const fault = a === c ? empty(t, a) : b.or(empty(t, a), empty(t, c));
  toRegister(t, dst, pops, fault, (slot) =>
    t.callw(`f80_${op}`, b.envAddr(slot), b.envAddr(st(t, a)), b.envAddr(st(t, c)), fcw(t)),
  );
}
/** D8: ST(0) = ST(0) op ST(i). */
const st0Sti =
  (op: string, reversed: boolean): Handler =>
  (t, i) => {
    if (x87Ready(t)) registerForm(t, op, 0, reversed ? i.rm : 0, reversed ? 0 : i.rm, 0);
  };
/** DC, DE: ST(i) = ST(i) op ST(0), popped for DE. The mnemonic names it so (FSUB ST(i), ST: ST(i) - ST(0)). */
const stiSt0 =
  (op: string, reversed: boolean, pops: number): Handler =>
  (t, i) => {
    if (x87Ready(t)) registerForm(t, op, i.rm, reversed ? 0 : i.rm, reversed ? i.rm : 0, pops);
  };
const memoryForm =
  (op: string, reversed: boolean, bytes: 4 | 8): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const v = t.load(bytes === 4 ? 2 : 3, t.memory(bytes, ACCESS_READ));
    const name = `f80_${op}${reversed ? 'r' : ''}_m${bytes * 8}`;
    toRegister(t, 0, 0, empty(t, 0), (slot) => {
      t.envStore(X87_OPERAND, v);
      return t.callw(name, b.envAddr(slot), b.envAddr(st(t, 0)), b.envAddr(X87_OPERAND), fcw(t));
    });
  };
const integerForm =
  (op: string, reversed: boolean, bytes: 2 | 4): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const v = b.load(bytes === 2 ? 'ld16s' : 'ld32', t.memory(bytes, ACCESS_READ), t.stackFlag(t.insn.segment));
    toRegister(t, 0, 0, empty(t, 0), (slot) => {
      t.envStore(X87_OPERAND, v);
      const integer = b.envAddr(X87_OPERAND + 16);
      t.callw('f80_from_i32', integer, b.envAddr(X87_OPERAND));
      const register = b.envAddr(st(t, 0));
      return t.callw(
        `f80_${op}`,
        b.envAddr(slot),
        reversed ? integer : register,
        reversed ? register : integer,
        fcw(t),
      );
    });
  };

/** ST(0) = f(ST(0)). */
const unary =
  (helper: string): Handler =>
  (t) => {
    if (x87Ready(t))
      toRegister(t, 0, 0, empty(t, 0), (slot) => t.callw(helper, t.b.envAddr(slot), t.b.envAddr(st(t, 0)), fcw(t)));
  };
/** f of two registers into ST(dst). */
const two =
  (helper: string, first: 0 | 1, dst: 0 | 1, pops: number): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    toRegister(t, dst, pops, b.or(empty(t, 0), empty(t, 1)), (slot) =>
      t.callw(helper, b.envAddr(slot), b.envAddr(st(t, first)), b.envAddr(st(t, 1 - first)), fcw(t)),
    );
  };
/** Bit in the result of `f80_prem` and `f80_prem1`: C0 and C3 stay as they were. */
const NO_QUOTIENT = 0x10000;
/** FPREM, FPREM1: C0 C3 C1 are quotient bits, C2 says incomplete. An invalid operation keeps C0 and C3 (recorded hardware). */
const remainder =
  (helper: string): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const old = b.and(t.envLoad(ENV.FPUS), b.i32(FSW_C0 | FSW_C3));
    toRegister(
      t,
      0,
      0,
      b.or(empty(t, 0), empty(t, 1)),
      (slot) => {
        const flags = t.callw(helper, b.envAddr(slot), b.envAddr(st(t, 0)), b.envAddr(st(t, 1)), fcw(t));
        return b.or(b.and(flags, b.i32(0xffff)), b.select(b.and(flags, b.i32(NO_QUOTIENT)), old, b.i32(0)));
      },
      { kind: COMMIT_PREM, clear: FSW_CC, faultFlags: b.or(old, b.i32(STACK_UNDERFLOW)) },
    );
  };
/** FSIN, FCOS: out of range sets C2 and changes nothing. */
const trigonometric =
  (helper: string): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    toRegister(t, 0, 0, empty(t, 0), (slot) => t.callw(helper, t.b.envAddr(slot), t.b.envAddr(st(t, 0)), fcw(t)), {
      kind: COMMIT_TRIG,
      clear: FSW_C1 | FSW_C2,
    });
  };

/**
 * FXTRACT, FSINCOS, FPTAN: ST(0) is replaced and a second result pushed. FSINCOS and FPTAN may leave the stack alone
 * (C2), so the cold form always ends in the helper; the hot form bails out then.
 */
const twoResults =
  (helper: string): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const none = empty(t, 0);
    const fault = b.or(none, full(t));
    if (t.hot) b.bailIf(fault);
    const flags = t.callw(helper, b.envAddr(X87_RESULT), b.envAddr(X87_RESULT2), b.envAddr(st(t, 0)), fcw(t));
    if (!t.hot) {
      const faultFlags = b.select(none, b.i32(STACK_UNDERFLOW), b.i32(STACK_OVERFLOW));
      commitByHelper(t, COMMIT_TWO, b.select(fault, faultFlags, flags), 0, 0);
      return;
    }
    b.bailIf(b.and(flags, b.i32(FSW_C2)));
    bailUnmasked(t, flags);
    copy(t, X87_RESULT, st(t, 0));
    copy(t, X87_RESULT2, st(t, -1));
    updateStatus(t, flags, FSW_C1 | FSW_C2);
    setTag(t, -1, 0);
    moveTop(t, -1);
  };

/** FCHS, FABS: the sign bit alone, whatever the value. */
const signBit =
  (change: (t: Translator, signExponent: Value) => Value): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    toRegister(t, 0, 0, empty(t, 0), (slot) => {
      const from = st(t, 0);
      if (slot !== from) t.envStore(slot, load64(t, from));
      store16(t, slot + 8, change(t, load16(t, from + 8)));
      return t.b.i32(0);
    });
  };

/** FCMOVcc: both registers must be full, whatever the condition. C1 stays (recorded hardware; the SDM leaves it open). */
const fcmov =
  (condition: number): Handler =>
  (t, i) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const taken = t.condition(condition);
    toRegister(
      t,
      0,
      0,
      b.or(empty(t, 0), empty(t, i.rm)),
      (slot) => {
        const [to, from] = [st(t, 0), st(t, i.rm)];
        t.envStore(slot, b.select(taken, load64(t, from), load64(t, to)));
        store16(t, slot + 8, b.select(taken, load16(t, from + 8), load16(t, to + 8)));
        return b.i32(0);
      },
      { kind: COMMIT_MOVE, clear: FSW_C1, onlyOnFault: true },
    );
  };

export const X87_ARITHMETIC_HANDLERS: HandlerTable = {
  ...Object.fromEntries(
    BINARY.flatMap(([name, op, reversed]) => [
      [`${name}_st_sti`, st0Sti(op, reversed)] as const,
      [`${name}_sti_st`, stiSt0(op, reversed, 0)] as const,
      [`${name}p`, stiSt0(op, reversed, 1)] as const,
      [`${name}_m32`, memoryForm(op, reversed, 4)] as const,
      [`${name}_m64`, memoryForm(op, reversed, 8)] as const,
      [`${name}_i16`, integerForm(op, reversed, 2)] as const,
      [`${name}_i32`, integerForm(op, reversed, 4)] as const,
    ]),
  ),
  fsqrt: unary('f80_sqrt'),
  frndint: unary('f80_rndint'),
  f2xm1: unary('f80_2xm1'),
  fscale: two('f80_scale', 0, 0, 0),
  fyl2x: two('f80_yl2x', 0, 1, 1),
  fyl2xp1: two('f80_yl2xp1', 0, 1, 1),
  fpatan: two('f80_atan', 1, 1, 1),
  fprem: remainder('f80_prem'),
  fprem1: remainder('f80_prem1'),
  fsin: trigonometric('f80_sin'),
  fcos: trigonometric('f80_cos'),
  fsincos: twoResults('f80_sincos'),
  fptan: twoResults('f80_tan'),
  fxtract: twoResults('f80_xtract'),
  fchs: signBit((t, v) => t.b.xor(v, t.b.i32(0x8000))),
  fabs: signBit((t, v) => t.b.and(v, t.b.i32(0x7fff))),
  fcmovb: fcmov(2),
  fcmovnb: fcmov(3),
  fcmove: fcmov(4),
  fcmovne: fcmov(5),
  fcmovbe: fcmov(6),
  fcmovnbe: fcmov(7),
  fcmovu: fcmov(10),
  fcmovnu: fcmov(11),
};
