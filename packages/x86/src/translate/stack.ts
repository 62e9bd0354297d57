/**
 * PUSH, POP and their families, ENTER, LEAVE, PUSHF, POPF. ESP is moved after everything that may fault.
 * SDM Vol. 2B "PUSH", "POP", "PUSHA", "POPA", "PUSHF", "POPF"; Vol. 2A "ENTER", "LEAVE".
 */
import { EXIT_LOOKUP, EXIT_WORK } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { EAX, EBP, EBX, ECX, EDI, EDX, ESI, ESP, FLAG_RF, FLAG_VM, G, HF_IOPL_OK, HF_VM, SS } from '../state.ts';
import { quickPopf } from './quick-flags.ts';
import { changesFlags, quickLoadSegment } from './quick-segments.ts';
import { ACCESS_READ, ACCESS_WRITE } from './translator.ts';
import type { Handler, HandlerTable } from './translator.ts';

const push: Handler = (t, i) => t.push(i.size, t.read(0));

/** POP r: written after ESP moved, so that POP ESP loads the popped value. */
const pop: Handler = (t, i) => {
  const v = t.top(i.size);
  t.dropStack(1 << i.size);
  t.write(0, v);
};
/** POP r/m: an address through ESP is computed after the increment. */
const popRm: Handler = (t, i) => {
  const v = t.top(i.size);
  if (i.mod !== 3) {
    if (i.base === ESP) t.setEa(t.plus(t.ea(), 1 << i.size));
    t.write(0, v);
    t.dropStack(1 << i.size);
    return;
  }
  t.dropStack(1 << i.size);
  t.write(0, v);
};

/** PUSHA's order; ESP is the value before the instruction. */
const ALL = [EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI];
const pusha: Handler = (t, i) => {
  const n = 1 << i.size;
  for (let k = 0; k < 8; k++)
    t.storeStack(i.size, t.stackAddress(-n * (k + 1), i.size, ACCESS_WRITE), t.b.get(ALL[k]!));
  t.setSp(t.stackOffset(-8 * n));
};
const popa: Handler = (t, i) => {
  const n = 1 << i.size;
  const values: Value[] = [];
  for (let k = 0; k < 8; k++)
    values.push(ALL[7 - k] === ESP ? -1 : t.loadStack(i.size, t.stackAddress(k * n, i.size, ACCESS_READ)));
  t.dropStack(8 * n);
  for (let k = 0; k < 8; k++) if (values[k]! >= 0) t.setReg(ALL[7 - k]!, i.size, values[k]!);
};

const enter: Handler = (t, i) => {
  const n = 1 << i.size;
  const level = i.imm2 & 31;
  const { stackSize } = t;
  t.storeStack(i.size, t.stackAddress(-n, i.size, ACCESS_WRITE), t.reg(EBP, i.size));
  const frame = t.stackOffset(-n);
  const saved = t.sized(i.size, frame);
  const bp = t.reg(EBP, stackSize);
  let depth = n;
  for (let k = 1; k < level; k++) {
    const from = t.linear(SS, t.cut(t.plus(bp, -k * n), 8 << stackSize), n, ACCESS_READ);
    depth += n;
    t.storeStack(i.size, t.stackAddress(-depth, i.size, ACCESS_WRITE), t.loadStack(i.size, from));
  }
  if (level > 0) {
    depth += n;
    t.storeStack(i.size, t.stackAddress(-depth, i.size, ACCESS_WRITE), saved);
  }
  const sp = t.stackOffset(-depth - i.imm);
  t.setReg(EBP, i.size, saved);
  t.setSp(sp);
};
const leave: Handler = (t, i) => {
  const bp = t.reg(EBP, t.stackSize);
  const v = t.loadStack(i.size, t.linear(SS, bp, 1 << i.size, ACCESS_READ));
  t.setSp(t.plus(bp, 1 << i.size));
  t.setReg(EBP, i.size, v);
};

const pushf: Handler = (t, i) => {
  const { b } = t;
  if ((t.flags & (HF_VM | HF_IOPL_OK)) === HF_VM) {
    // virtual-8086 with IOPL < 3: #GP, or the VME image
    const v = t.callKeep('pushf_value', b.i32(1 << i.size));
    t.push(i.size, v);
    return;
  }
  const rest = b.and(b.get(G.EFLAGS), b.i32(~(FLAG_RF | FLAG_VM)));
  t.push(i.size, t.sized(i.size, b.or(b.or(t.flagsImage(), rest), b.i32(2))));
};
const popf: Handler = (t, i) => {
  const { b } = t;
  const v = t.top(i.size);
  // the upper half of RFLAGS is reserved and not looked at
  if (quickPopf(t, t.low(v), i.size)) {
    t.dropStack(1 << i.size);
    return;
  }
  t.call('popf', t.low(v), b.i32(i.size === 1 ? 2 : 4), t.nextPc());
  t.dropStack(1 << i.size);
  t.exitNext(EXIT_WORK);
};

const pushSeg: Handler = (t, i) => t.push(i.size, t.sized(i.size, t.read(0)));
const popSeg: Handler = (t, i) => {
  const { b } = t;
  const seg = i.row.operands[0]!.fixed;
  const v = t.top(i.size);
  const selector = b.and(t.low(v), b.i32(0xffff));
  if (quickLoadSegment(t, seg, selector)) {
    t.dropStack(1 << i.size);
    if (changesFlags(seg)) t.exitNext();
    return;
  }
  t.call('load_seg', b.i32(seg), selector);
  t.dropStack(1 << i.size); // by the stack address size from before, as POP SS may change it
  t.exitNext(EXIT_LOOKUP, seg === SS, seg !== SS);
};
export const STACK_HANDLERS: HandlerTable = {
  push,
  pop,
  pop_rm: popRm,
  pusha,
  popa,
  enter,
  leave,
  pushf,
  popf,
  push_seg: pushSeg,
  pop_seg: popSeg,
};
