/**
 * Encodes one finished IR block as a cold stream: slot allocation for values, constants and address displacements
 * folded into ops, values computed straight into the global they are set to where no exit could see it too early.
 * Hot path of the translator: typed arrays, reused between blocks.
 */
import { HOT_ONLY, I32, I64, MEM_RMW, MEM_STACK, MEM_SUPERVISOR, MEM_WIDE, OPS, V128, opId } from '@emkit/ir';
import type { GlobalDef, IrBlock } from '@emkit/ir';
import { CAN_LEAVE, ENV_PLAIN, IN0, INS, IS_CALLJ, IS_REPLACE_LANE, K, KIND, OUT, ZERO_EXTENDS } from './cold-kinds.ts';
import { COLD, COLD_RI, COLD_RMW, COLD_RR } from './cold-ops.ts';
import { CTL, ENV_BASE, TARGET_HISTORY, TEMP_BASE, TEMP_COUNT, TEMP_STRIDE } from './layout.ts';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const V128_CONST = opId('v128_const');
const ENV_ADDR = opId('env_addr');
const CODE_OFFSET = opId('code_offset');
const I32_ADD = opId('i32_add');
const I64_ADD = opId('i64_add');
const WRAP = opId('i32_wrap_i64');
const EXT_U = opId('i64_extend_i32_u');
const SHUFFLE = opId('i8x16_shuffle');
const BR = opId('br');
const JMP = opId('jmp');

/** A 32-bit constant, or a 64-bit one that is the sign extension of its low half. */
function isImmediate(block: IrBlock, v: number): boolean {
  const o = block.op[v];
  return o === I32_CONST || (o === I64_CONST && block.imm2[v] === block.imm[v] >> 31);
}
/** An address whose constant goes into the access. (One that is nothing but a constant does too, see CTL.ZERO.) */
function hasDisplacement(block: IrBlock, v: number): boolean {
  const o = block.op[v];
  return (o === I32_ADD || o === I64_ADD) && isImmediate(block, block.b[v]);
}
/**
 * The value in whose slot this one is found: the low half of a 64-bit value is its slot's first half (little-endian), and a 32-bit result fills its
 * slot with zeros.
 */
function holder(block: IrBlock, value: number): number {
  const { op, a } = block;
  let v = value;
  if (op[v] === WRAP) v = a[v];
  if (op[v] === EXT_U && ZERO_EXTENDS[op[a[v]]] !== 0) v = a[v];
  return v;
}

export class ColdEncoder {
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #globalSlot: Int32Array;
  /** By global: 8 bytes may be written to its slot. */
  readonly #roomy: Uint8Array;
  #lastUse = new Int32Array(1024);
  #uses = new Int32Array(1024);
  #slot = new Int32Array(1024);
  /** For a value: the set that names the global it is computed into, or -1. */
  #direct = new Int32Array(1024);
  /** For a get or set: the next op that changes its global. */
  #change = new Int32Array(1024);
  /** By global: scratch of the two passes. */
  readonly #nextChange: Int32Array;
  readonly #busyUntil: Int32Array;
  readonly #lastSet: Int32Array;
  readonly #free = new Int32Array(TEMP_COUNT);
  #freeCount = 0;
  /** First temporary that the block has not touched. */
  #fresh = TEMP_BASE;
  /** Address of the last block's terminator. */
  terminator = 0;
  #at = 0;
  #pcDelta = 0;
  #insn = 0;

  constructor(memory: ArrayBufferLike, globals: readonly GlobalDef[]) {
    this.#u8 = new Uint8Array(memory);
    this.#u16 = new Uint16Array(memory);
    this.#i32 = new Int32Array(memory);
    this.#nextChange = new Int32Array(globals.length);
    this.#busyUntil = new Int32Array(globals.length);
    this.#lastSet = new Int32Array(globals.length);
    this.#globalSlot = Int32Array.from(globals, (g) => ENV_BASE + g.offset);
    const taken = new Set(globals.map((g) => g.offset));
    this.#roomy = Uint8Array.from(globals, (g) =>
      g.type !== I32 || (g.offset % 8 === 0 && !taken.has(g.offset + 4)) ? 1 : 0,
    );
  }

  /** Upper bound of the bytes `encode` writes for a block of `count` ops. */
  static bound(count: number): number {
    return (count * 3 + 8) * 16;
  }

  /**
   * Writes header and ops at `at` (16-byte aligned). `pc` is the block's pc (low half), `flags` its key.
   * `linkable(target)`: jumps to that pc may be chained (same guest page). Returns the address after the stream.
   */
  encode(
    block: IrBlock,
    at: number,
    pc: number,
    flags: number,
    counter: number,
    linkable: (pc: number) => boolean,
  ): number {
    this.#prepare(block);
    this.#at = at;
    this.#word(COLD.HEADER, block.insnCount, 0, 0, pc, 0, 0);
    this.#i32[(at >> 2) + 1] = counter;
    this.#i32[(at >> 2) + 3] = flags;
    this.#insn = 0;
    const { op, a, b, c, imm, imm2 } = block;
    const slot = this.#slot;
    for (let i = 0; i < block.count; i++) {
      const o = op[i];
      switch (KIND[o]) {
        case K.INSN:
          this.#insn = c[i];
          this.#pcDelta = (imm[i] - pc) & 0xffff;
          break;
        case K.PURE:
          if (this.#uses[i] === 0 || INS[o] === 0) break; // constants appear where they are needed
          this.#pure(block, i);
          break;
        case K.GET:
          if (slot[i] === 0) {
            slot[i] = this.#alloc(i);
            this.#move(OUT[o], slot[i], this.#globalSlot[imm[i]]);
          }
          break;
        case K.SET:
          this.#set(block, i);
          break;
        case K.ENVLD: {
          const dst = (slot[i] = this.#alloc(i));
          if (ENV_PLAIN[o] !== 0) this.#move(OUT[o], dst, ENV_BASE + imm[i]);
          else if (INS[o] === 0) this.#word(COLD_RR[o], dst, ENV_BASE + imm[i], 0, 0, this.#pcDelta, this.#insn);
          else this.#word(COLD_RR[o], dst, this.#use(block, a[i]), 0, ENV_BASE + imm[i], this.#pcDelta, this.#insn);
          break;
        }
        case K.ENVST:
          if (ENV_PLAIN[o] !== 0) this.#store(block, a[i], IN0[o], ENV_BASE + imm[i]);
          else if (INS[o] === 1)
            this.#word(COLD_RR[o], ENV_BASE + imm[i], this.#use(block, a[i]), 0, 0, this.#pcDelta, this.#insn);
          else {
            const index = this.#use(block, a[i]);
            this.#word(COLD_RR[o], 0, index, this.#use(block, b[i]), ENV_BASE + imm[i], this.#pcDelta, this.#insn);
          }
          break;
        case K.LOAD:
        case K.STORE: {
          let address = a[i];
          let displacement = 0;
          if (isImmediate(block, address)) {
            displacement = imm[address];
            address = -1;
          } else if (hasDisplacement(block, address)) {
            displacement = imm[b[address]];
            address = a[address];
          }
          const base = address < 0 ? CTL.ZERO : this.#use(block, address);
          const stack = (imm[i] & MEM_STACK) !== 0 ? 64 : 0;
          if ((imm[i] & MEM_SUPERVISOR) !== 0) throw new Error('access as supervisor in cold code');
          if (KIND[o] === K.LOAD) {
            const code = (imm[i] & MEM_RMW) !== 0 ? COLD_RMW[o] : COLD_RR[o];
            const wide = (imm[i] & MEM_WIDE) !== 0 ? 128 : 0;
            this.#freeAt(block, i);
            this.#dst(i);
            this.#word(code, slot[i], base, stack | wide, displacement, this.#pcDelta, this.#insn);
            if (this.#uses[i] === 0) this.#release(slot[i]);
            continue;
          }
          const value = this.#use(block, b[i]);
          this.#word(COLD_RR[o], stack, base, value, displacement, this.#pcDelta, this.#insn);
          break;
        }
        case K.GUARD:
          if (HOT_ONLY[o] !== 0) throw new Error('hot op in cold code');
          this.#word(COLD_RR[o], imm[i] & 0xffff, this.#use(block, a[i]), 0, imm2[i], this.#pcDelta, this.#insn);
          break;
        case K.CALL: {
          const n = INS[o];
          let s0 = 0,
            s1 = 0,
            s2 = 0,
            s3 = 0,
            s4 = 0,
            s5 = 0;
          if (n > 0) s0 = this.#use(block, a[i]);
          if (n > 1) s1 = this.#use(block, b[i]);
          if (n > 2) s2 = this.#use(block, c[i]);
          if (n > 3) s3 = this.#use(block, block.d[i]);
          if (n > 4) s4 = this.#use(block, block.e[i]);
          if (n > 5) s5 = this.#use(block, block.f[i]);
          this.#freeAt(block, i);
          const dst = (slot[i] = this.#alloc(i));
          this.#word(COLD_RR[o], dst, 0, 0, imm[i], this.#pcDelta, this.#insn);
          const w = this.#at >> 1;
          this.#u16[w] = s0;
          this.#u16[w + 1] = s1;
          this.#u16[w + 2] = s2;
          this.#u16[w + 3] = s3;
          this.#u16[w + 4] = s4;
          this.#u16[w + 5] = s5;
          this.#at += 16;
          if (this.#uses[i] === 0) this.#release(dst);
          continue;
        }
        case K.TERM:
          this.#term(block, i, linkable);
          break;
        default:
          continue;
      }
      this.#freeAt(block, i);
    }
    return this.#at;
  }

  #pure(block: IrBlock, i: number): void {
    const o = block.op[i];
    const n = INS[o];
    const b = block.b[i];
    if (n === 2 && COLD_RI[o] >= 0 && isImmediate(block, b)) {
      const sa = this.#use(block, block.a[i]);
      this.#freeAt(block, i);
      this.#word(COLD_RI[o], this.#dst(i), sa, 0, block.imm[b], this.#pcDelta, this.#insn);
      return;
    }
    const sa = this.#use(block, block.a[i]);
    const sb = n > 1 ? this.#use(block, b) : 0;
    const third = n > 2 ? this.#use(block, block.c[i]) : block.imm[i];
    // Multi-step handlers write their result before they have read everything.
    const late = o === SHUFFLE || IS_REPLACE_LANE[o] !== 0;
    if (!late) this.#freeAt(block, i);
    this.#word(COLD_RR[o], this.#dst(i), sa, sb, third, this.#pcDelta, this.#insn);
    if (o === SHUFFLE) {
      this.#u8.set(block.vectors[block.imm[i]], this.#at);
      this.#at += 16;
    }
    if (late) this.#freeAt(block, i);
  }

  #dst(i: number): number {
    const d = this.#direct[i];
    return (this.#slot[i] = d >= 0 ? d : this.#alloc(i));
  }

  #set(block: IrBlock, i: number): void {
    const v = holder(block, block.a[i]);
    const target = this.#globalSlot[block.imm[i]];
    if (this.#slot[v] === target && this.#direct[v] === target) return; // computed in place
    this.#store(block, v, IN0[block.op[i]], target);
  }

  /** Slot move of a value, or the constant itself. */
  #store(block: IrBlock, v: number, type: number, target: number): void {
    const o = block.op[v];
    if (INS[o] === 0 && KIND[o] === K.PURE) this.#constant(block, v, target);
    else this.#move(type, target, this.#use(block, v));
  }

  #move(type: number, dst: number, src: number): void {
    this.#word(
      type === V128 ? COLD.MOV128 : type === I64 ? COLD.MOV64 : COLD.MOV32,
      dst,
      src,
      0,
      0,
      this.#pcDelta,
      this.#insn,
    );
  }

  #constant(block: IrBlock, v: number, dst: number): void {
    const o = block.op[v];
    if (o === I32_CONST) this.#word(COLD.CONST32, dst, 0, 0, block.imm[v], this.#pcDelta, this.#insn);
    else if (o === ENV_ADDR) this.#word(COLD.CONST32, dst, 0, 0, ENV_BASE + block.imm[v], this.#pcDelta, this.#insn);
    else if (o === I64_CONST || o === CODE_OFFSET) {
      this.#word(COLD.CONST64, dst, 0, 0, block.imm[v], 0, 0); // code_offset has 0 and 0
      this.#i32[(this.#at >> 2) - 1] = block.imm2[v];
    } else if (o === V128_CONST) {
      this.#word(COLD.CONST128, dst, 0, 0, 0, 0, 0);
      this.#u8.set(block.vectors[block.imm[v]], this.#at);
      this.#at += 16;
    } else throw new Error(`constant op ${OPS[o].name}`);
  }

  /** Slot of a value; a constant is materialised at its first use as a slot. */
  #use(block: IrBlock, value: number): number {
    const v = holder(block, value);
    let s = this.#slot[v];
    if (s === 0) {
      s = this.#slot[v] = this.#alloc(v);
      this.#constant(block, v, s);
    }
    return s;
  }

  #term(block: IrBlock, i: number, linkable: (pc: number) => boolean): void {
    const o = block.op[i];
    const { imm, imm2 } = block;
    // a constant operand is written as an op of its own, before the terminator
    const operand = INS[o] === 0 ? 0 : this.#use(block, block.a[i]);
    this.terminator = this.#at;
    const jump = (pc: number): void =>
      this.#word(COLD_RR[JMP], linkable(pc) ? 1 : 0, 0, 0, pc, this.#pcDelta, this.#insn);
    if (o === JMP) jump(imm[i]);
    else if (o === BR) {
      this.#word(COLD_RR[BR], 0, operand, 0, 0, this.#pcDelta, this.#insn);
      jump(imm[i]);
      jump(imm2[i]);
    } else if (INS[o] === 1) {
      this.#word(COLD_RR[o], 0, operand, 0, imm[i], this.#pcDelta, this.#insn);
      this.#i32.fill(0, this.#at >> 2, (this.#at >> 2) + TARGET_HISTORY); // the last targets, for region formation
      this.#at += 4 * TARGET_HISTORY;
    } else this.#word(COLD_RR[o], 0, 0, 0, imm[i], this.#pcDelta, this.#insn);
  }

  #word(code: number, dst: number, a: number, b: number, imm: number, pcDelta: number, insn: number): void {
    const w = this.#at >> 1;
    this.#u16[w] = code;
    this.#u16[w + 1] = dst;
    this.#u16[w + 2] = a;
    this.#u16[w + 3] = b;
    this.#i32[(this.#at >> 2) + 2] = imm;
    this.#u16[w + 6] = pcDelta;
    this.#u16[w + 7] = insn;
    this.#at += 16;
  }

  // --- slots --------------------------------------------------------------------------------------------------
  #alloc(_v: number): number {
    if (this.#freeCount > 0) return this.#free[--this.#freeCount];
    const slot = this.#fresh;
    if (slot === TEMP_BASE + TEMP_STRIDE * TEMP_COUNT)
      throw new Error('cold encoder: too many live values in one block');
    this.#fresh = slot + TEMP_STRIDE;
    return slot;
  }
  #release(slot: number): void {
    if (slot >= TEMP_BASE) this.#free[this.#freeCount++] = slot;
  }
  /** Operands whose last use is op `i` give their slots back. */
  #freeAt(block: IrBlock, i: number): void {
    const n = INS[block.op[i]];
    for (let k = 0; k < n; k++) {
      const v = block.operand(i, k);
      this.#freeValue(holder(block, v), i);
      // a folded address frees its base
      if (k === 0 && this.#uses[v] === 0 && hasDisplacement(block, v)) this.#freeValue(holder(block, block.a[v]), i);
    }
  }
  #freeValue(v: number, i: number): void {
    if (this.#lastUse[v] === i && this.#slot[v] !== 0) {
      this.#release(this.#slot[v]);
      this.#lastUse[v] = -2;
    }
  }

  /** Last uses, use counts, aliases of globals and in-place sets. */
  #prepare(block: IrBlock): void {
    const { count, op, a, imm } = block;
    if (this.#lastUse.length < count) {
      const n = block.op.length;
      this.#lastUse = new Int32Array(n);
      this.#uses = new Int32Array(n);
      this.#slot = new Int32Array(n);
      this.#direct = new Int32Array(n);
      this.#change = new Int32Array(n);
    }
    const lastUse = this.#lastUse;
    const uses = this.#uses;
    const slot = this.#slot;
    const direct = this.#direct;
    lastUse.fill(-1, 0, count);
    uses.fill(0, 0, count);
    slot.fill(0, 0, count);
    direct.fill(-1, 0, count);
    this.#freeCount = 0;
    this.#fresh = TEMP_BASE;

    // Backwards: uses, and for each get and set the next op at which its global changes.
    const change = this.#change;
    const next = this.#nextChange;
    next.fill(count);
    for (let i = count - 1; i >= 0; i--) {
      const o = op[i];
      const kind = KIND[o];
      if (kind === K.SKIP || kind === K.INSN) continue;
      // a value nobody uses (its only use was folded into an address) has no uses of its own
      if (kind === K.PURE && uses[i] === 0) continue;
      if (kind === K.GET) change[i] = next[imm[i]];
      else if (kind === K.SET) {
        change[i] = next[imm[i]];
        next[imm[i]] = i;
      } else if (IS_CALLJ[o] !== 0) next.fill(i);
      const n = INS[o];
      for (let k = 0; k < n; k++) {
        let v = block.operand(i, k);
        if (k === 0 && (kind === K.LOAD || kind === K.STORE)) {
          if (isImmediate(block, v)) continue;
          if (hasDisplacement(block, v)) v = a[v];
        }
        v = holder(block, v);
        uses[v]++;
        if (lastUse[v] < i) lastUse[v] = i;
      }
    }
    this.#place(block);
  }

  /**
   * Forwards: a `get` that is dead before its global changes is the global's slot. A set takes its value in place if
   * between definition and set nothing can leave (a load that leaves has written nothing) or touch the global, and nobody reads the old or the later contents
   * of the slot as if it were the other.
   */
  #place(block: IrBlock): void {
    const { count, op, a, imm } = block;
    const lastUse = this.#lastUse;
    const change = this.#change;
    const busy = this.#busyUntil;
    const lastSet = this.#lastSet;
    busy.fill(-1);
    lastSet.fill(-1);
    let lastLeave = -1;
    for (let i = 0; i < count; i++) {
      const o = op[i];
      const kind = KIND[o];
      if (kind === K.GET) {
        const g = imm[i];
        // a value computed earlier and set later must not be in the slot yet
        if (busy[g] < i) busy[g] = i;
        if (lastUse[i] > change[i]) continue;
        this.#slot[i] = this.#globalSlot[g];
        if (busy[g] < lastUse[i]) busy[g] = lastUse[i];
      } else if (kind === K.SET) {
        const g = imm[i];
        const v = holder(block, a[i]);
        if (
          (KIND[op[v]] === K.PURE || KIND[op[v]] === K.LOAD) &&
          INS[op[v]] !== 0 &&
          this.#roomy[g] !== 0 &&
          this.#direct[v] < 0 &&
          lastLeave <= v &&
          lastSet[g] < v &&
          busy[g] <= v &&
          lastUse[v] <= change[i]
        ) {
          this.#direct[v] = this.#globalSlot[g];
          busy[g] = lastUse[v];
        }
        lastSet[g] = i;
      } else if (CAN_LEAVE[o] !== 0) lastLeave = i;
    }
  }
}
