/**
 * Jumps, calls, returns, loops, interrupts. Near targets are offsets in CS, cut to 16 bits by a 16-bit operand size, and
 * checked against the CS limit where that is not 4 GiB; in 64-bit code they are canonical addresses. Far transfers and interrupts are finished by helpers.
 * SDM Vol. 2A "CALL", "INT n", "Jcc", "JMP", "LOOP"; Vol. 2B "RET".
 */
import { EXIT_LOOKUP, EXIT_WORK, JUMP_CALL, JUMP_PLAIN, JUMP_RET } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Insn } from '../decode/insn.ts';
import { ECX, ENV, EXC } from '../state.ts';
import { quickInt32, quickIret32 } from './quick-interrupt-32.ts';
import { quickInt64, quickIret64 } from './quick-interrupt-64.ts';
import { ACCESS_READ } from './translator.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';

function branch(t: Translator, i: Insn, cond: Value): void {
  const target = t.branchTarget(i.imm);
  t.checkBranch(target, cond);
  t.br(cond, target);
}

const jmp: Handler = (t, i) => {
  const target = t.branchTarget(i.imm);
  t.checkBranch(target);
  t.jmp(target);
};
const jcc: Handler = (t, i) => branch(t, i, t.condition(i.row.arg));

const call: Handler = (t, i) => {
  const target = t.branchTarget(i.imm);
  t.checkBranch(target);
  t.push(i.size, t.returnAddress());
  t.callReturn = t.next;
  t.jmp(target);
};
const jmpInd: Handler = (t) => {
  const target = t.read(0);
  t.checkTarget(target);
  t.jmpInd(target, JUMP_PLAIN);
};
const callInd: Handler = (t, i) => {
  const target = t.read(0);
  t.checkTarget(target);
  t.push(i.size, t.returnAddress());
  t.callReturn = t.next;
  t.jmpInd(target, JUMP_CALL);
};
const ret: Handler = (t, i) => {
  const target = t.top(i.size);
  t.checkTarget(target);
  t.dropStack((1 << i.size) + (i.row.imm1 === 0 ? 0 : i.imm));
  t.jmpInd(target, JUMP_RET);
};

/** The count after the decrement; it is set once everything that may fault is done. */
const loop: Handler = (t, i) => {
  const { b } = t;
  const count = t.cut(t.plus(t.reg(ECX, i.asize), -1), 8 << i.asize);
  let cond = b.ne(count, t.int(i.asize, 0));
  if (i.row.arg < 2) cond = b.and(cond, t.condition(i.row.arg === 0 ? 5 : 4));
  const target = t.branchTarget(i.imm);
  t.checkBranch(target, cond);
  t.setReg(ECX, i.asize, count);
  t.br(cond, target);
};
const jcxz: Handler = (t, i) => branch(t, i, t.b.eqz(t.reg(ECX, i.asize)));

// --- far --------------------------------------------------------------------------------------------------------
const farDirect =
  (helper: string): Handler =>
  (t, i) => {
    const { b } = t;
    t.finishWith(helper, [b.i32(i.imm2), b.i32(i.size === 1 ? i.imm & 0xffff : i.imm), b.i32(1 << i.size), t.nextPc()]);
  };
const farMemory =
  (helper: string): Handler =>
  (t, i) => {
    const { b } = t;
    const n = 1 << i.size;
    const address = t.memory(n + 2, ACCESS_READ);
    const offset = t.load(i.size, address);
    const selector = t.load(1, t.memoryAt(n));
    // the high half of an offset of 8 bytes goes by SCRATCH
    if (i.size === 3) t.envStore(ENV.SCRATCH, t.high(offset));
    t.finishWith(helper, [selector, t.low(offset), b.i32(n), t.nextPc()]);
  };
const retFar: Handler = (t, i) =>
  t.finishWith('far_ret', [t.b.i32(1 << i.size), t.b.i32(i.row.imm1 === 0 ? 0 : i.imm)]);
const iret: Handler = (t, i) => {
  if (i.size === 3 ? quickIret64(t) : i.size === 2 && quickIret32(t)) return;
  t.finishWith('iret', [t.b.i32(1 << i.size), t.nextPc()], EXIT_WORK);
};

// --- interrupts -------------------------------------------------------------------------------------------------
/** The third argument of soft_int. */
const INT_N = 0;
const INT_3 = 1;
const INT_1 = 3;
const softInt = (t: Translator, vector: number, kind: number): void =>
  t.finishWith('soft_int', [t.b.i32(vector), t.nextPc(), t.b.i32(kind)], EXIT_LOOKUP, false);
const int: Handler = (t, i) => {
  const vector = i.imm & 0xff;
  if (!quickInt64(t, vector) && !quickInt32(t, vector)) softInt(t, vector, INT_N);
};
const int3: Handler = (t) => softInt(t, EXC.BP, INT_3);
const int1: Handler = (t) => softInt(t, EXC.DB, INT_1);
const into: Handler = (t) => t.finishWith('into', [t.overflow(), t.nextPc()]);

const bound: Handler = (t, i) => {
  const { b } = t;
  const n = 1 << i.size;
  const index = t.signed(t.reg(i.reg, i.size), i.size);
  const address = t.memory(2 * n, ACCESS_READ);
  const lower = t.signed(t.load(i.size, address), i.size);
  const upper = t.signed(t.load(i.size, t.memoryAt(n)), i.size);
  t.raiseIf(b.or(b.ltS(index, lower), b.ltS(upper, index)), EXC.BR);
};

export const FLOW_HANDLERS: HandlerTable = {
  jmp,
  jcc,
  call,
  jmp_ind: jmpInd,
  call_ind: callInd,
  ret,
  loop,
  jcxz,
  jmp_far: farDirect('far_jmp'),
  call_far: farDirect('far_call'),
  jmp_far_mem: farMemory('far_jmp'),
  call_far_mem: farMemory('far_call'),
  ret_far: retFar,
  iret,
  int,
  int3,
  int1,
  into,
  bound,
};
