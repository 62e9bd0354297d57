/**
 * Arithmetic and logic, moves, exchanges. Flags as SDM Vol. 1 Appendix A says; undefined ones as real CPUs leave them
 * where that is free.
 */
import type { Value } from '@emkit/ir';
import type { Insn } from '../decode/insn.ts';
import { EAX, EBX, ECX, EDX, EXC, FLAGS_ARITH, FLAG_DF, FLAG_OF, G } from '../state.ts';
import { ACCESS_READ, ACCESS_RMW } from './translator.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';

const ADD = 0;
const OR = 1;
const ADC = 2;
const SBB = 3;
const AND = 4;
const SUB = 5;

/** Both operands are the same general register. */
const sameRegister = (i: Insn): boolean => i.mod === 3 && i.modrm >= 0 && i.reg === i.rm && i.row.imm1 === 0;

const alu: Handler = (t, i) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.readRmw(0);
  const y = t.read(1);
  const same = sameRegister(i);
  let r: Value;
  switch (i.row.arg) {
    case ADD:
      r = b.add(x, y);
      t.write(0, r);
      t.setAdd(size, r, y);
      break;
    case ADC: {
      const c = t.carry();
      r = b.add(b.add(x, y), t.sized(size, c));
      t.write(0, r);
      t.setAdc(size, r, y, c);
      break;
    }
    case SBB: {
      const c = t.carry();
      r = same ? b.neg(t.sized(size, c)) : b.sub(b.sub(x, y), t.sized(size, c));
      t.write(0, r);
      t.setSbb(size, r, y, c);
      break;
    }
    case SUB:
      r = same ? t.int(size, 0) : b.sub(x, y);
      t.write(0, r);
      t.setSub(size, r, x, y);
      break;
    default:
      if (i.row.arg === OR) r = same ? x : b.or(x, y);
      else if (i.row.arg === AND) r = same ? x : b.and(x, y);
      else r = same ? t.int(size, 0) : b.xor(x, y);
      t.write(0, r);
      t.setLogic(size, r);
  }
};

const cmp: Handler = (t, i) => {
  const x = t.read(0);
  const y = t.read(1);
  const size = t.size(0);
  t.setSub(size, sameRegister(i) ? t.int(size, 0) : t.b.sub(x, y), x, y);
};
const test: Handler = (t, i) => {
  const x = t.read(0);
  const y = t.read(1);
  t.setLogic(t.size(0), sameRegister(i) ? x : t.b.and(x, y));
};
const inc: Handler = (t) => {
  const r = t.b.add(t.readRmw(0), t.int(t.size(0), 1));
  t.write(0, r);
  t.setInc(t.size(0), r);
};
const dec: Handler = (t) => {
  const r = t.b.sub(t.readRmw(0), t.int(t.size(0), 1));
  t.write(0, r);
  t.setDec(t.size(0), r);
};
const neg: Handler = (t) => {
  const x = t.readRmw(0);
  const zero = t.int(t.size(0), 0);
  const r = t.b.sub(zero, x);
  t.write(0, r);
  t.setSub(t.size(0), r, zero, x);
};
const not: Handler = (t) => t.write(0, t.b.not(t.readRmw(0)));

const mov: Handler = (t) => t.write(0, t.read(1));
const movzx: Handler = (t) => t.write(0, t.sized(t.size(0), t.read(1)));
/** MOVSX, MOVSXD. */
const movsx: Handler = (t) => {
  const v = t.signed(t.read(1), t.size(1));
  t.write(0, t.size(0) === 3 ? t.extendSigned(v) : v);
};
const lea: Handler = (t) => t.write(0, t.sized(t.size(0), t.ea()));
/** Bytes reversed within the operand. */
const reversed = (t: Translator, v: Value, size: number): Value =>
  size >= 2 ? t.b.bswap(v) : t.b.shr(t.b.bswap(v), t.b.i32(16));
const movbe: Handler = (t, i) => t.write(0, reversed(t, t.read(1), i.size));
/** 16-bit BSWAP is undefined; real CPUs clear the register. */
const bswap: Handler = (t, i) => t.write(0, i.size >= 2 ? t.b.bswap(t.read(0)) : t.b.i32(0));

const xchg: Handler = (t) => {
  const x = t.readRmw(0);
  const y = t.read(1);
  t.write(0, y);
  t.write(1, x);
};

const cmpxchg: Handler = (t, i) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.readRmw(0);
  const a = t.reg(EAX, size);
  const y = t.read(1);
  if (i.mod === 3 && i.rm === EAX) {
    // compared with itself: equal
    t.write(0, y);
    t.setSub(size, t.int(size, 0), a, a);
    return;
  }
  const equal = b.eq(a, x);
  if (size === 2 && i.mod === 3) setUnless(t, i.rm, b.eqz(equal), x, y);
  else t.write(0, b.select(equal, y, x));
  if (size === 2) setUnless(t, EAX, equal, a, x);
  else t.setReg(EAX, size, b.select(equal, a, x));
  t.setSub(size, b.sub(a, x), a, x);
};

const cmpxchg8b: Handler = (t, i) => {
  if (i.size === 3) return cmpxchg16b(t, i);
  const { b } = t;
  const address = t.memory(8, ACCESS_RMW);
  const x = t.load(3, address, true);
  const a = t.reg(EAX, 2);
  const d = t.reg(EDX, 2);
  const equal = b.eq(x, t.pair(a, d));
  t.store(3, address, b.select(equal, t.pair(t.reg(EBX, 2), t.reg(ECX, 2)), x));
  t.setZero(equal);
  setUnless(t, EAX, equal, a, t.low(x));
  setUnless(t, EDX, equal, d, t.high(x));
};
/** Two words of 8 bytes at a boundary of 16, else #GP(0). */
const cmpxchg16b: Handler = (t) => {
  const { b } = t;
  const address = t.memory(16, ACCESS_RMW);
  t.raiseIf(b.and(t.low(address), b.i32(15)), EXC.GP, 0);
  const second = t.addressAdd(address, 8);
  const x = t.load(3, address, true);
  const y = t.load(3, second, true);
  const a = t.reg(EAX, 3);
  const d = t.reg(EDX, 3);
  const equal = b.and(b.eq(x, a), b.eq(y, d));
  t.store(3, address, b.select(equal, t.reg(EBX, 3), x));
  t.store(3, second, b.select(equal, t.reg(ECX, 3), y));
  t.setZero(equal);
  t.setReg(EAX, 3, b.select(equal, a, x));
  t.setReg(EDX, 3, b.select(equal, d, y));
};
/** A 32-bit register becomes v unless `kept`; in 64-bit code the upper half is cleared only then. */
function setUnless(t: Translator, r: number, kept: Value, old: Value, v: Value): void {
  const { b } = t;
  if (t.is64) t.setReg(r, 3, b.select(kept, t.reg(r, 3), t.extend(v)));
  else t.setReg(r, 2, b.select(kept, old, v));
}

const xadd: Handler = (t, i) => {
  const size = t.size(0);
  const x = t.readRmw(0);
  const y = t.read(1);
  const r = t.b.add(x, y);
  // register form: the sum wins when both are one register; memory: the store comes first
  if (i.mod === 3) {
    t.write(1, x);
    t.write(0, r);
  } else {
    t.write(0, r);
    t.write(1, x);
  }
  t.setAdd(size, r, y);
};

const cmov: Handler = (t, i) => {
  const v = t.read(1);
  t.write(0, t.b.select(t.condition(i.row.arg), v, t.read(0)));
};
const setcc: Handler = (t, i) => t.write(0, t.condition(i.row.arg));

/** CBW, CWDE, CDQE. */
const cbw: Handler = (t, i) => {
  const v = t.signed(t.reg(EAX, i.size - 1), i.size - 1);
  t.setReg(EAX, i.size, i.size === 3 ? t.extendSigned(v) : v);
};
/** CWD, CDQ, CQO. */
const cwd: Handler = (t, i) =>
  t.setReg(EDX, i.size, t.b.sar(t.signed(t.reg(EAX, i.size), i.size), t.int(i.size, i.size === 3 ? 63 : 31)));

const xlat: Handler = (t, i) => {
  t.setEa(t.b.add(t.reg(EBX, i.asize), t.sized(i.asize, t.reg(EAX, 0))));
  t.setReg(EAX, 0, t.load(0, t.memory(1, ACCESS_READ)));
};

const clc: Handler = (t) => t.setCarryOverflow(t.b.i32(0), -1);
const stc: Handler = (t) => t.setCarryOverflow(t.b.i32(1), -1);
const cmc: Handler = (t) => t.setCarryOverflow(t.b.eqz(t.carry()), -1);
const cld: Handler = (t) => t.b.set(G.EFLAGS, t.b.and(t.b.get(G.EFLAGS), t.b.i32(~FLAG_DF)));
const std: Handler = (t) => t.b.set(G.EFLAGS, t.b.or(t.b.get(G.EFLAGS), t.b.i32(FLAG_DF)));
const AH_FLAGS = FLAGS_ARITH & 0xff;
const lahf: Handler = (t) => t.setHighByte(EAX, t.b.or(t.b.and(t.flagsImage(), t.b.i32(AH_FLAGS)), t.b.i32(2)));
const sahf: Handler = (t) => {
  const { b } = t;
  t.setEflags(b.or(b.and(t.allFlags(), b.i32(FLAG_OF)), b.and(t.highByte(EAX), b.i32(AH_FLAGS))));
};
/** Undocumented: AL = CF ? FF : 0. */
const salc: Handler = (t) => t.setReg(EAX, 0, t.b.neg(t.carry()));

export const ALU_HANDLERS: HandlerTable = {
  alu,
  cmp,
  test,
  inc,
  dec,
  neg,
  not,
  mov,
  movzx,
  movsx,
  movsxd: movsx,
  movbe,
  lea,
  bswap,
  xchg,
  xchg_rax: xchg,
  cmpxchg,
  cmpxchg8b,
  cmpxchg16b,
  xadd,
  cmov,
  setcc,
  cbw,
  cwd,
  xlat,
  clc,
  stc,
  cmc,
  cld,
  std,
  lahf,
  sahf,
  salc,
  nop: () => undefined,
  nop_rm: () => undefined,
};
