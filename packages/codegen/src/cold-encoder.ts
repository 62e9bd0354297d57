/**
 * Encodes one finished IR block as a cold stream: slot allocation for values, constants and address displacements
 * folded into ops, values computed straight into the global they are set to where no exit could see it too early.
 * Hot path of the translator: typed arrays, reused between blocks.
 */
import { HOT_ONLY, I64, MEM_RMW, MEM_STACK, MEM_SUPERVISOR, MEM_WIDE, OPS, V128, opId } from '@emkit/ir';
import type { GlobalDef, IrBlock } from '@emkit/ir';
import { ENV_PLAIN, IN0, INS, IS_REPLACE_LANE, K, KIND, OUT } from './cold-kinds.ts';
import { COLD, COLD_RI, COLD_RMW, COLD_RR } from './cold-ops.ts';
import { ColdPlan, IN_PLACE, LAST_USE, SLOT, VALUE_WORDS, hasDisplacement, holder, isImmediate } from './cold-plan.ts';
import { CTL, ENV_BASE, TARGET_HISTORY, TEMP_BASE, TEMP_COUNT, TEMP_STRIDE } from './layout.ts';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const V128_CONST = opId('v128_const');
const ENV_ADDR = opId('env_addr');
const CODE_OFFSET = opId('code_offset');
const SHUFFLE = opId('i8x16_shuffle');
const BR = opId('br');
const JMP = opId('jmp');

export class ColdEncoder {
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #plan: ColdPlan;
  /** Slots of globals. */
  readonly #globalSlot: Int32Array;
  /** What the plan says of the block's values. */
  #values = new Int32Array(0);
  readonly #free = new Int32Array(TEMP_COUNT);
  #freeCount = 0;
  /** First temporary that the block has not touched. */
  #fresh = TEMP_BASE;
  /** Address of the last block's terminator. */
  terminator = 0;
  #at = 0;
  /** Last word of an op: the instruction's distance from the block's pc, and its ordinal. */
  #where = 0;

  constructor(memory: ArrayBufferLike, globals: readonly GlobalDef[]) {
    this.#u8 = new Uint8Array(memory);
    this.#i32 = new Int32Array(memory);
    this.#plan = new ColdPlan(globals);
    this.#globalSlot = this.#plan.slots;
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
    this.#plan.make(block);
    const values = (this.#values = this.#plan.values);
    this.#freeCount = 0;
    this.#fresh = TEMP_BASE;
    this.#at = at;
    this.#where = 0;
    this.#word(COLD.HEADER, block.insnCount, 0, 0, pc);
    this.#i32[(at >> 2) + 1] = counter;
    this.#i32[(at >> 2) + 3] = flags;
    const { op, a, b, c, imm, imm2 } = block;
    for (let i = 0; i < block.count; i++) {
      const o = op[i];
      switch (KIND[o]) {
        case K.INSN:
          this.#where = ((imm[i] - pc) & 0xffff) | (c[i] << 16);
          break;
        case K.PURE:
          if (values[i * VALUE_WORDS + LAST_USE] === 0 || INS[o] === 0) continue; // constants appear where they are needed
          this.#pure(block, i);
          break;
        case K.GET:
          if (values[i * VALUE_WORDS + SLOT] === 0) this.#move(OUT[o], this.#dst(i), this.#globalSlot[imm[i]]);
          continue;
        case K.SET:
          this.#set(block, i);
          break;
        case K.ENVLD: {
          const dst = this.#dst(i);
          if (ENV_PLAIN[o] !== 0) this.#move(OUT[o], dst, ENV_BASE + imm[i]);
          else if (INS[o] === 0) this.#word(COLD_RR[o], dst, ENV_BASE + imm[i], 0, 0);
          else this.#word(COLD_RR[o], dst, this.#use(block, a[i]), 0, ENV_BASE + imm[i]);
          break;
        }
        case K.ENVST:
          if (ENV_PLAIN[o] !== 0) this.#store(block, a[i], IN0[o], ENV_BASE + imm[i]);
          else if (INS[o] === 1) this.#word(COLD_RR[o], ENV_BASE + imm[i], this.#use(block, a[i]), 0, 0);
          else {
            const index = this.#use(block, a[i]);
            this.#word(COLD_RR[o], 0, index, this.#use(block, b[i]), ENV_BASE + imm[i]);
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
            if (address >= 0) this.#free1(block, address, i);
            const dst = this.#dst(i);
            this.#word(code, dst, base, stack | wide, displacement);
            if (values[i * VALUE_WORDS + LAST_USE] === 0) this.#release(dst);
            continue;
          }
          this.#word(COLD_RR[o], stack, base, this.#use(block, b[i]), displacement);
          if (address >= 0) this.#free1(block, address, i);
          this.#free1(block, b[i], i);
          continue;
        }
        case K.GUARD:
          if (HOT_ONLY[o] !== 0) throw new Error('hot op in cold code');
          this.#word(COLD_RR[o], imm[i] & 0xffff, this.#use(block, a[i]), 0, imm2[i]);
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
          const dst = this.#dst(i);
          this.#word(COLD_RR[o], dst, 0, 0, imm[i]);
          const w = this.#at >> 2;
          this.#i32[w] = s0 | (s1 << 16);
          this.#i32[w + 1] = s2 | (s3 << 16);
          this.#i32[w + 2] = s4 | (s5 << 16);
          this.#at += 16;
          if (values[i * VALUE_WORDS + LAST_USE] === 0) this.#release(dst);
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
      this.#word(COLD_RI[o], this.#dst(i), sa, 0, block.imm[b]);
      return;
    }
    const sa = this.#use(block, block.a[i]);
    const sb = n > 1 ? this.#use(block, b) : 0;
    const third = n > 2 ? this.#use(block, block.c[i]) : block.imm[i];
    // Multi-step handlers write their result before they have read everything.
    const late = o === SHUFFLE || IS_REPLACE_LANE[o] !== 0;
    if (!late) this.#freeAt(block, i);
    this.#word(COLD_RR[o], this.#dst(i), sa, sb, third);
    if (o === SHUFFLE) {
      this.#u8.set(block.vectors[block.imm[i]], this.#at);
      this.#at += 16;
    }
    if (late) this.#freeAt(block, i);
  }

  /** Slot that op `i` writes its result to. */
  #dst(i: number): number {
    const values = this.#values;
    const w = i * VALUE_WORDS;
    const d = values[w + IN_PLACE];
    return (values[w + SLOT] = d !== 0 ? d : this.#alloc());
  }

  #set(block: IrBlock, i: number): void {
    const v = holder(block, block.a[i]);
    const target = this.#globalSlot[block.imm[i]];
    if (this.#values[v * VALUE_WORDS + IN_PLACE] === target) return; // computed there
    this.#store(block, v, IN0[block.op[i]], target);
  }

  /** Slot move of a value, or the constant itself. */
  #store(block: IrBlock, v: number, type: number, target: number): void {
    const o = block.op[v];
    if (INS[o] === 0 && KIND[o] === K.PURE) this.#constant(block, v, target);
    else this.#move(type, target, this.#use(block, v));
  }

  #move(type: number, dst: number, src: number): void {
    this.#word(type === V128 ? COLD.MOV128 : type === I64 ? COLD.MOV64 : COLD.MOV32, dst, src, 0, 0);
  }

  #constant(block: IrBlock, v: number, dst: number): void {
    const o = block.op[v];
    if (o === I32_CONST) this.#word(COLD.CONST32, dst, 0, 0, block.imm[v]);
    else if (o === ENV_ADDR) this.#word(COLD.CONST32, dst, 0, 0, ENV_BASE + block.imm[v]);
    else if (o === CODE_OFFSET) this.#word(COLD.MOV64, dst, CTL.PLACE, 0, 0);
    else if (o === I64_CONST) {
      this.#word(COLD.CONST64, dst, 0, 0, block.imm[v]);
      this.#i32[(this.#at >> 2) - 1] = block.imm2[v];
    } else if (o === V128_CONST) {
      this.#word(COLD.CONST128, dst, 0, 0, 0);
      this.#u8.set(block.vectors[block.imm[v]], this.#at);
      this.#at += 16;
    } else throw new Error(`constant op ${OPS[o].name}`);
  }

  /** Slot of a value; a constant is materialised at its first use as a slot. */
  #use(block: IrBlock, value: number): number {
    const v = holder(block, value);
    const w = v * VALUE_WORDS + SLOT;
    let s = this.#values[w];
    if (s === 0 && block.op[v] === CODE_OFFSET) return CTL.PLACE;
    if (s === 0) {
      s = this.#values[w] = this.#alloc();
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
    const jump = (pc: number): void => this.#word(COLD_RR[JMP], linkable(pc) ? 1 : 0, 0, 0, pc);
    if (o === JMP) jump(imm[i]);
    else if (o === BR) {
      this.#word(COLD_RR[BR], 0, operand, 0, 0);
      jump(imm[i]);
      jump(imm2[i]);
    } else if (INS[o] === 1) {
      this.#word(COLD_RR[o], 0, operand, 0, imm[i]);
      this.#i32.fill(0, this.#at >> 2, (this.#at >> 2) + TARGET_HISTORY); // the last targets, for region formation
      this.#at += 4 * TARGET_HISTORY;
    } else this.#word(COLD_RR[o], 0, 0, 0, imm[i]);
  }

  #word(code: number, dst: number, a: number, b: number, imm: number): void {
    const i32 = this.#i32;
    const w = this.#at >> 2;
    i32[w] = code | (dst << 16);
    i32[w + 1] = a | (b << 16);
    i32[w + 2] = imm;
    i32[w + 3] = this.#where;
    this.#at += 16;
  }

  // --- slots --------------------------------------------------------------------------------------------------
  #alloc(): number {
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
    if (n === 0) return;
    this.#free1(block, block.a[i], i);
    if (n === 1) return;
    this.#free1(block, block.b[i], i);
    for (let k = 2; k < n; k++) this.#free1(block, block.operand(i, k), i);
  }
  #free1(block: IrBlock, value: number, i: number): void {
    const values = this.#values;
    const w = holder(block, value) * VALUE_WORDS;
    if (values[w + LAST_USE] !== i || values[w + SLOT] === 0) return;
    this.#release(values[w + SLOT]);
    values[w + LAST_USE] = -1;
  }
}
