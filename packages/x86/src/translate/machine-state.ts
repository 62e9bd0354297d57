/**
 * CPU state as the translator sees it: general registers and their parts, segments, effective and linear addresses with
 * the checks of segmentation, memory, the stack, and env slots that are no globals. All values are SSA snapshots.
 * Nothing here ends a block.
 */
import { V128, opId } from '@emkit/ir';
import type { LoadKind, StoreKind, Value } from '@emkit/ir';
import type { Insn } from '../decode/insn.ts';
import {
  CS,
  ENV,
  ESP,
  EXC,
  FS,
  G,
  HF_ADDSEG,
  HF_ALIGN,
  HF_FGCHECK,
  HF_PE,
  HF_SEGCHECK,
  HF_SS32,
  HF_VM,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import { LazyFlags } from './lazy-flags.ts';

export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
/** Read now, write to the same address later in the instruction. */
export const ACCESS_RMW = 2;

const LOADS: readonly LoadKind[] = ['ld8u', 'ld16u', 'ld32', 'ld64', 'ld128'];
const STORES: readonly StoreKind[] = ['st8', 'st16', 'st32', 'st64', 'st128'];
const MEM_RMW_FLAG = 1;
const ENVLD_I32 = opId('envld_i32');
const ENVST_I32 = opId('envst_i32');
const ENVST_I64 = opId('envst_i64');
const ENVST_V128 = opId('envst_v128');
const ENVST_16 = opId('envst_16');
const ENVLD_16U = opId('envld_16u');

/** No low part of a register is known as a value of its own. */
const NO_PART = -1;

export class MachineState extends LazyFlags {
  insn!: Insn;
  /** Block flags known to hold at this point. */
  flags = 0;
  csBase = 0;
  #eaValue = -1;
  #linear = -1;
  /** Last partial write of each register: the whole it made, the part, its width (forwarding of partial registers). */
  readonly #partOf = new Int32Array(8);
  readonly #part = new Int32Array(8);
  readonly #partBits = new Int32Array(8);
  readonly #segBase = new Int32Array(6);

  beginState(flags: number, csBase: number, ccOp: number): void {
    this.flags = flags;
    this.csBase = csBase;
    this.#partOf.fill(NO_PART);
    this.#segBase.fill(-1);
    this.beginFlags(ccOp);
  }
  beginAddress(insn: Insn): void {
    this.insn = insn;
    this.#eaValue = -1;
    this.#linear = -1;
  }
  /** A script helper may have changed segments and flags. */
  forgetState(): void {
    this.#segBase.fill(-1);
    this.forgetFlags();
  }
  /** Protected mode proper: not real, not virtual-8086. */
  get protectedMode(): boolean {
    return (this.flags & (HF_PE | HF_VM)) === HF_PE;
  }

  // --- general registers ------------------------------------------------------------------------------------------
  reg(r: number, size: number): Value {
    const { b } = this;
    if (size === 2) return b.get(r);
    if (size === 0 && r >= 4) {
      const whole = b.get(r & 3);
      if (this.#partOf[r] === whole) return this.#part[r]!;
      return this.cut(b.shr(whole, b.i32(8)), 8);
    }
    const whole = b.get(r);
    const bits = 8 << size;
    // high-byte slots share the table: parts of 0-3 are low parts, of 4-7 low 16 bits or a high byte
    if (this.#partOf[r] === whole && this.#partBits[r]! >= bits) return this.cut(this.#part[r]!, bits);
    return this.cut(whole, bits);
  }
  setReg(r: number, size: number, v: Value): void {
    const { b } = this;
    if (size === 2) {
      b.set(r, v);
      return;
    }
    if (size === 0 && r >= 4) {
      const part = this.cut(v, 8);
      const whole = b.or(b.and(b.get(r & 3), b.i32(~0xff00)), b.shl(part, b.i32(8)));
      b.set(r & 3, whole);
      return;
    }
    const bits = 8 << size;
    const part = this.cut(v, bits);
    const old = b.get(r);
    const whole = b.or(b.and(old, b.i32(size === 0 ? ~0xff : ~0xffff)), part);
    b.set(r, whole);
    this.#partOf[r] = whole;
    this.#part[r] = part;
    this.#partBits[r] = bits;
  }

  xmm(n: number): Value {
    return this.b.get(G.XMM0 + n);
  }
  setXmm(n: number, v: Value): void {
    this.b.set(G.XMM0 + n, v);
  }

  // --- addresses --------------------------------------------------------------------------------------------------
  /** Effective address of the memory operand: offset in its segment, cut to the address size. */
  ea(): Value {
    if (this.#eaValue >= 0) return this.#eaValue;
    const { b, insn } = this;
    let v = -1;
    if (insn.base >= 0) v = b.get(insn.base);
    if (insn.index >= 0) {
      const x = insn.scale === 0 ? b.get(insn.index) : b.shl(b.get(insn.index), b.i32(insn.scale));
      v = v < 0 ? x : b.add(v, x);
    }
    if (v < 0) v = b.i32(insn.disp);
    else if (insn.disp !== 0) v = b.add(v, b.i32(insn.disp));
    if (insn.asize === 1) v = this.cut(v, 16);
    this.#eaValue = v;
    return v;
  }
  /** Use another effective address (BT with a register bit offset, POP relative to ESP). */
  setEa(v: Value): void {
    this.#eaValue = this.insn.asize === 1 ? this.cut(v, 16) : v;
    this.#linear = -1;
  }
  /** Linear address of the memory operand, checked for `bytes` bytes. Once per instruction. */
  memory(bytes: number, access: number): Value {
    if (this.#linear < 0) this.#linear = this.linear(this.insn.segment, this.ea(), bytes, access);
    return this.#linear;
  }
  memoryAt(offset: number): Value {
    return this.b.add(this.#linear, this.b.i32(offset));
  }

  /** Linear address of seg:offset after limit, type and alignment checks of an access of `bytes` bytes. */
  linear(seg: number, offset: Value, bytes: number, access: number): Value {
    const { b } = this;
    if ((this.flags & (seg >= FS ? HF_FGCHECK : HF_SEGCHECK)) !== 0) this.#checkSegment(seg, offset, bytes, access);
    const lin = this.addBase(seg, offset);
    if ((this.flags & HF_ALIGN) !== 0 && bytes > 1 && (bytes & (bytes - 1)) === 0)
      b.raiseIf(b.and(lin, b.i32(bytes - 1)), EXC.AC, 0);
    return lin;
  }
  addBase(seg: number, offset: Value): Value {
    const { b } = this;
    if (seg === CS) return b.add(offset, b.i32(this.csBase));
    if (seg < FS && (this.flags & HF_ADDSEG) === 0) return offset;
    let base = this.#segBase[seg]!;
    if (base < 0) {
      base = b.emit(ENVLD_I32, -1, -1, -1, ENV.SEG + seg * SEG_STRIDE + SEG_BASE);
      this.#segBase[seg] = base;
    }
    return b.add(base, offset);
  }
  segLimit(seg: number): Value {
    return this.envLoad(ENV.SEG + seg * SEG_STRIDE + SEG_LIMIT);
  }
  segSelector(seg: number): Value {
    return this.b.emit(ENVLD_16U, -1, -1, -1, ENV.SEG + seg * SEG_STRIDE);
  }

  /** SDM Vol. 3A §5.3 "Limit Checking", §5.5 "Type Checking"; a null or absent segment has P = 0 in its cache. */
  #checkSegment(seg: number, offset: Value, bytes: number, access: number): void {
    const { b } = this;
    const limit = this.segLimit(seg);
    const last = b.add(offset, b.i32(bytes - 1));
    let bad = b.ltU(limit, last);
    // the end wraps past 4 GiB; a 16-bit offset cannot
    if (bytes > 1 && !this.fits(offset, 16)) bad = b.or(bad, b.ltU(last, offset));
    if (this.protectedMode) {
      const type = this.envLoad(ENV.SEG + seg * SEG_STRIDE + SEG_FLAGS);
      // expand-down data: bits 11-10 = 01; valid offsets lie above the limit, up to 64K or 4G by the B bit (22)
      const upper = b.select(b.and(type, b.i32(1 << 22)), b.i32(-1), b.i32(0xffff));
      const down = b.or(b.or(b.ltU(upper, last), b.ltU(last, offset)), b.leU(offset, limit));
      bad = b.select(b.eq(b.and(type, b.i32(0xc00)), b.i32(0x400)), down, bad);
      // present, and: writes need a writable data segment, reads a segment that is not execute-only
      const wrongType =
        access === ACCESS_READ
          ? b.or(b.eqz(b.and(type, b.i32(0x8000))), b.eq(b.and(type, b.i32(0xa00)), b.i32(0x800)))
          : b.ne(b.and(type, b.i32(0x8a00)), b.i32(0x8200));
      bad = b.or(bad, wrongType);
    }
    b.raiseIf(bad, seg === SS ? EXC.SS : EXC.GP, 0);
  }

  // --- memory -----------------------------------------------------------------------------------------------------
  load(size: number, address: Value, rmw = false): Value {
    return this.b.load(LOADS[size]!, address, rmw ? MEM_RMW_FLAG : 0);
  }
  store(size: number, address: Value, v: Value): void {
    this.b.store(STORES[size]!, address, v);
  }

  // --- stack ------------------------------------------------------------------------------------------------------
  /** Stack offset `delta` bytes from ESP, cut to the stack's address size. */
  stackOffset(delta: number): Value {
    const sp = this.b.add(this.b.get(ESP), this.b.i32(delta));
    return (this.flags & HF_SS32) !== 0 ? sp : this.cut(sp, 16);
  }
  /** Linear address of the stack slot at ESP + delta. */
  stackAddress(delta: number, size: number, access: number): Value {
    return this.linear(SS, this.stackOffset(delta), 1 << size, access);
  }
  /** Set ESP (or SP) = v. */
  setSp(v: Value): void {
    this.setReg(ESP, (this.flags & HF_SS32) !== 0 ? 2 : 1, v);
  }
  /** Store a value of `size` on the stack and move ESP: the last memory act of the instruction. */
  push(size: number, v: Value): void {
    const offset = this.stackOffset(-(1 << size));
    this.store(size, this.linear(SS, offset, 1 << size, ACCESS_WRITE), v);
    this.setSp(offset);
  }
  /** Value on top of the stack; ESP is moved by the caller with `dropStack`. */
  top(size: number): Value {
    return this.load(size, this.stackAddress(0, size, ACCESS_READ));
  }
  dropStack(bytes: number): void {
    this.setSp(this.stackOffset(bytes));
  }

  // --- env --------------------------------------------------------------------------------------------------------
  envLoad(offset: number): Value {
    return this.b.emit(ENVLD_I32, -1, -1, -1, offset);
  }
  envStore(offset: number, v: Value): void {
    const type = this.b.typeOf(v);
    this.b.emit(type === V128 ? ENVST_V128 : type === 1 ? ENVST_I64 : ENVST_I32, v, -1, -1, offset);
  }
  envStore16(offset: number, v: Value): void {
    this.b.emit(ENVST_16, v, -1, -1, offset);
  }
  /** Block flags from here on. */
  setFlags(flags: number): void {
    if (flags === this.flags) return;
    this.flags = flags;
    this.b.set(G.HFLAGS, this.b.i32(flags));
  }
}
