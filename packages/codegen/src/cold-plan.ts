/**
 * What the cold encoder knows of a block before it writes the first op: where each value is used last, and which values need no temporary
 * because a global's slot has them. One pass backwards.
 *
 * A `get` that is dead before its global changes is the global's slot. A set takes its value in place if between definition and set nothing
 * can leave (a load that leaves has written nothing) or touch the global, and nobody reads the old or the later contents of the slot as if
 * it were the other: the set asks for it when it is met, whatever stands in the way until the definition is met ends that.
 */
import { I32, opId } from '@emkit/ir';
import type { GlobalDef, IrBlock } from '@emkit/ir';
import { CAN_LEAVE, INS, IS_CALLJ, K, KIND, ZERO_EXTENDS } from './cold-kinds.ts';
import { ENV_BASE } from './layout.ts';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const I32_ADD = opId('i32_add');
const I64_ADD = opId('i64_add');
const WRAP = opId('i32_wrap_i64');
const EXT_U = opId('i64_extend_i32_u');

/** Words of a value in `ColdPlan.values`. */
export const VALUE_WORDS = 4;
/** Last op that uses it, 0: none. */
export const LAST_USE = 0;
/** Address of its slot, 0: not known yet. */
export const SLOT = 1;
/** Slot of the global it is computed into, 0: none. */
export const IN_PLACE = 2;
/** The set that asked last to have it in place, 0: none. */
const WANTED = 3;

/** A 32-bit constant, or a 64-bit one that is the sign extension of its low half. */
export function isImmediate(block: IrBlock, v: number): boolean {
  const o = block.op[v];
  return o === I32_CONST || (o === I64_CONST && block.imm2[v] === block.imm[v] >> 31);
}
/** An address whose constant goes into the access. (One that is nothing but a constant does too, see CTL.ZERO.) */
export function hasDisplacement(block: IrBlock, v: number): boolean {
  const o = block.op[v];
  return (o === I32_ADD || o === I64_ADD) && isImmediate(block, block.b[v]);
}
/**
 * The value in whose slot this one is found: the low half of a 64-bit value is its slot's first half (little-endian), and a 32-bit result fills its
 * slot with zeros.
 */
export function holder(block: IrBlock, value: number): number {
  const { op, a } = block;
  let v = value;
  if (op[v] === WRAP) v = a[v];
  if (op[v] === EXT_U && ZERO_EXTENDS[op[a[v]]] !== 0) v = a[v];
  return v;
}

export class ColdPlan {
  /** By value: VALUE_WORDS words. */
  values = new Int32Array(1024 * VALUE_WORDS);
  /** By global. */
  readonly slots: Int32Array;
  /** By global: 8 bytes may be written to its slot. */
  readonly #roomy: Uint8Array;
  /**
   * By global, 0 for none: the op at which its slot changes next; behind these, the set that asks for its value in place; and which op that may
   * leave was the next one then.
   */
  readonly #globals: Int32Array;
  readonly #count: number;
  readonly #askedAt: Int32Array;

  constructor(globals: readonly GlobalDef[]) {
    const n = globals.length;
    this.#count = n;
    this.#globals = new Int32Array(2 * n);
    this.#askedAt = new Int32Array(n);
    this.slots = Int32Array.from(globals, (g) => ENV_BASE + g.offset);
    const taken = new Set(globals.map((g) => g.offset));
    this.#roomy = Uint8Array.from(globals, (g) =>
      g.type !== I32 || (g.offset % 8 === 0 && !taken.has(g.offset + 4)) ? 1 : 0,
    );
  }

  make(block: IrBlock): void {
    const { count, op, a, b, c, imm } = block;
    if (this.values.length < count * VALUE_WORDS) this.values = new Int32Array(op.length * VALUE_WORDS);
    else this.values.fill(0, 0, count * VALUE_WORDS);
    const { values, slots } = this;
    const globals = this.#globals;
    const asking = this.#count;
    globals.fill(0);
    // the first op behind this one at which the block may be left
    let leave = count;
    for (let i = count - 1; i >= 0; i--) {
      const o = op[i];
      const w = i * VALUE_WORDS;
      let first = a[i];
      switch (KIND[o]) {
        case K.SKIP:
        case K.INSN:
          continue;
        case K.PURE:
          // a value nobody uses (its only use was folded into an address) has no uses of its own
          if (values[w + LAST_USE] === 0) continue;
          if (values[w + WANTED] !== 0) this.#place(block, i, leave);
          break;
        case K.GET: {
          const g = imm[i];
          // a value computed earlier and set later must not be in the slot yet
          globals[asking + g] = 0;
          if (globals[g] === 0 || values[w + LAST_USE] <= globals[g]) values[w + SLOT] = slots[g];
          continue;
        }
        case K.SET:
          first = this.#ask(block, i, leave);
          break;
        case K.LOAD:
          if (values[w + WANTED] !== 0) this.#place(block, i, leave);
          leave = i;
          if (isImmediate(block, first)) continue;
          if (hasDisplacement(block, first)) first = a[first];
          break;
        case K.STORE:
          leave = i;
          this.#use(block, b[i], i);
          if (isImmediate(block, first)) continue;
          if (hasDisplacement(block, first)) first = a[first];
          this.#use(block, first, i);
          continue;
        default:
          if (CAN_LEAVE[o] !== 0) leave = i;
          if (IS_CALLJ[o] !== 0) globals.fill(i, 0, asking);
      }
      const n = INS[o];
      if (n === 0) continue;
      this.#use(block, first, i);
      if (n === 1) continue;
      this.#use(block, b[i], i);
      if (n > 2) this.#use(block, c[i], i);
      for (let k = 3; k < n; k++) this.#use(block, block.operand(i, k), i);
    }
  }

  #use(block: IrBlock, value: number, i: number): void {
    const v = holder(block, value);
    const at = v * VALUE_WORDS + LAST_USE;
    const { values } = this;
    if (values[at] === 0) values[at] = i;
    if (KIND[block.op[v]] !== K.GET) return;
    // the global's slot is still read here, unless the get is too old for that
    const g = block.imm[v];
    const change = this.#globals[g];
    if (change === 0 || values[at] <= change) this.#globals[this.#count + g] = 0;
  }

  /** The set `i` asks for its value in place. Gives the value. */
  #ask(block: IrBlock, i: number, leave: number): number {
    const { values } = this;
    const globals = this.#globals;
    const g = block.imm[i];
    const v = holder(block, block.a[i]);
    const o = block.op[v];
    const of = KIND[o];
    const w = v * VALUE_WORDS;
    const change = globals[g];
    let asking = 0;
    if (
      (of === K.PURE || of === K.LOAD) &&
      INS[o] !== 0 &&
      this.#roomy[g] !== 0 &&
      (change === 0 || values[w + LAST_USE] <= change)
    ) {
      asking = i;
      this.#askedAt[g] = leave;
      values[i * VALUE_WORDS + WANTED] = values[w + WANTED];
      values[w + WANTED] = i;
    }
    globals[this.#count + g] = asking;
    globals[g] = i;
    return v;
  }

  /** Value `v` goes where the first set wants it for which that is still possible. */
  #place(block: IrBlock, v: number, leave: number): void {
    const { values } = this;
    for (let i = values[v * VALUE_WORDS + WANTED]; i !== 0; i = values[i * VALUE_WORDS + WANTED]) {
      const g = block.imm[i];
      if (this.#globals[this.#count + g] !== i || this.#askedAt[g] !== leave) continue;
      values[v * VALUE_WORDS + IN_PLACE] = this.slots[g];
      this.#globals[g] = v;
      this.#globals[this.#count + g] = 0;
      return;
    }
  }
}
