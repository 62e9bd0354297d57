/**
 * CPU state as the translator sees it: general registers and their parts, segments, effective and linear addresses with
 * the checks of segmentation, memory, the stack, and env slots that are no globals. All values are SSA snapshots.
 * Nothing here ends a block.
 *
 * 64-bit code (`is64`): registers are i64 globals, 32-bit writes clear the upper half, addresses are i64, of the segments
 * only FS and GS have a base, and nothing is checked but alignment; what is not canonical is found by the access. SDM Vol. 1
 * §3.4.1.1, §3.3.7.1, Vol. 3A §5.3.1. 16- and 32-bit code under HF_LMA computes as ever, and extends the linear address.
 */
import { I64, MEM_RMW, MEM_STACK, MEM_WIDE, V128, opId } from '@emkit/ir';
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
  HF_CS64,
  HF_FGCHECK,
  HF_LMA,
  HF_PE,
  HF_SEGCHECK,
  HF_SS32,
  HF_VM,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_STRIDE,
  SS,
  gprGlobal,
} from '../state.ts';
import { IMM_MOFFS } from '../decode/row.ts';
import { TWO32, highHalf } from '../system/address.ts';
import { LazyFlags } from './lazy-flags.ts';

export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
/** Read now, write to the same address later in the instruction. */
export const ACCESS_RMW = 2;

const LOADS: readonly LoadKind[] = ['ld8u', 'ld16u', 'ld32', 'ld64', 'ld128'];
const STORES: readonly StoreKind[] = ['st8', 'st16', 'st32', 'st64', 'st128'];
const ENVLD_I32 = opId('envld_i32');
const ENVLD_I64 = opId('envld_i64');
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
  /** Base of CS; in 64-bit code the high half of RIP. */
  csBase = 0;
  /** 64-bit code. */
  is64 = false;
  /** EIP of this instruction and of the one after it; in 64-bit code low halves, and the high half of the latter. */
  eip = 0;
  next = 0;
  nextHigh = 0;
  /** 64-bit code that may run elsewhere than where it was translated. */
  movable = false;
  /** Linear addresses are i64 values: 64-bit code and compatibility mode. */
  wide = false;
  #eaValue = -1;
  #linear = -1;
  /** Last partial write of each register: the whole it made, the part, its width (forwarding of partial registers). */
  readonly #partOf = new Int32Array(16).fill(NO_PART);
  readonly #part = new Int32Array(16);
  readonly #partBits = new Int32Array(16);
  readonly #segBase = new Int32Array(6).fill(-1);
  /** Something stands in the two tables. */
  #hasParts = false;
  #hasBases = false;

  beginState(flags: number, csBase: number, ccOp: number): void {
    this.flags = flags;
    this.csBase = csBase | 0;
    this.is64 = (flags & HF_CS64) !== 0;
    this.wide = (flags & (HF_CS64 | HF_LMA)) !== 0;
    if (this.#hasParts) this.#partOf.fill(NO_PART);
    this.#hasParts = false;
    this.forgetBases();
    this.beginFlags(ccOp);
  }
  beginAddress(insn: Insn): void {
    this.insn = insn;
    this.#eaValue = -1;
    this.#linear = -1;
  }
  /** A script helper may have changed segments and flags. */
  forgetState(): void {
    this.forgetBases();
    this.forgetFlags();
  }
  /** Bases of segments in env have changed. */
  forgetBases(): void {
    if (this.#hasBases) this.#segBase.fill(-1);
    this.#hasBases = false;
  }
  /** Protected mode proper: not real, not virtual-8086. */
  get protectedMode(): boolean {
    return (this.flags & (HF_PE | HF_VM)) === HF_PE;
  }
  /** Limits and types of CS, DS, ES, SS are to be checked. */
  get checksSegments(): boolean {
    return (this.flags & (HF_SEGCHECK | HF_CS64)) === HF_SEGCHECK;
  }

  // --- general registers ------------------------------------------------------------------------------------------
  /** Register number r as an operand of `size` log2 bytes: for bytes 4-7 are AH CH DH BH, with a REX prefix SPL BPL SIL DIL. */
  reg(r: number, size: number): Value {
    const { b } = this;
    if (size === 0 && r >= 4 && this.insn.rex === 0) return this.highByte(r & 3);
    const whole = b.get(gprGlobal(r));
    if (size === 3) return whole;
    if (size === 2) return this.low(whole);
    const bits = 8 << size;
    if (this.#partOf[r] === whole && this.#partBits[r]! >= bits) return this.cut(this.#part[r]!, bits);
    return this.cut(this.low(whole), bits);
  }
  setReg(r: number, size: number, v: Value): void {
    const { b } = this;
    if (size === 0 && r >= 4 && this.insn.rex === 0) {
      this.setHighByte(r & 3, v);
      return;
    }
    const g = gprGlobal(r);
    if (size === 3) {
      b.set(g, v);
      return;
    }
    if (size === 2) {
      b.set(g, this.is64 ? this.extend(v) : v);
      return;
    }
    const bits = 8 << size;
    const part = this.cut(v, bits);
    const whole = this.#merge(b.get(g), size === 0 ? ~0xff : ~0xffff, part);
    b.set(g, whole);
    this.#hasParts = true;
    this.#partOf[r] = whole;
    this.#part[r] = part;
    this.#partBits[r] = bits;
  }
  /** AH, CH, DH or BH, by the number of the register it is part of. */
  highByte(r: number): Value {
    return this.cut(this.b.shr(this.low(this.b.get(r)), this.b.i32(8)), 8);
  }
  setHighByte(r: number, v: Value): void {
    const { b } = this;
    b.set(r, this.#merge(b.get(r), ~0xff00, b.shl(this.cut(v, 8), b.i32(8))));
  }
  #merge(old: Value, keep: number, part: Value): Value {
    const { b } = this;
    const v = this.is64 ? this.extend(part) : part;
    return b.or(b.and(old, b.int(b.typeOf(old), keep)), v);
  }

  xmm(n: number): Value {
    return this.b.get(G.XMM0 + n);
  }
  setXmm(n: number, v: Value): void {
    this.b.set(G.XMM0 + n, v);
  }

  // --- addresses --------------------------------------------------------------------------------------------------
  /** Effective address of the memory operand: offset in its segment, cut to the address size. i64 in 64-bit code. */
  ea(): Value {
    if (this.#eaValue >= 0) return this.#eaValue;
    const { b, insn } = this;
    let v = -1;
    if (insn.asize === 3) v = this.#ea64(insn);
    else {
      if (insn.base >= 0) v = this.reg(insn.base, 2);
      if (insn.index >= 0) {
        const x = this.reg(insn.index, 2);
        const scaled = insn.scale === 0 ? x : b.shl(x, b.i32(insn.scale));
        v = v < 0 ? scaled : b.add(v, scaled);
      }
      if (insn.ripRelative)
        v = this.movable ? this.low(this.rip(this.offsetAfter(insn.disp))) : b.i32(this.next + insn.disp);
      else if (v < 0) v = b.i32(insn.disp);
      else if (insn.disp !== 0) v = b.add(v, b.i32(insn.disp));
      if (insn.asize === 1) v = this.cut(v, 16);
      else if (this.is64) v = this.extend(v);
    }
    this.#eaValue = v;
    return v;
  }
  #ea64(insn: Insn): Value {
    const { b } = this;
    if (insn.ripRelative) return this.rip(this.offsetAfter(insn.disp));
    let v = -1;
    if (insn.base >= 0) v = b.get(gprGlobal(insn.base));
    if (insn.index >= 0) {
      const x = b.get(gprGlobal(insn.index));
      const scaled = insn.scale === 0 ? x : b.shl(x, b.i64(insn.scale));
      v = v < 0 ? scaled : b.add(v, scaled);
    }
    if (v >= 0) return this.plus(v, insn.disp);
    return insn.row.imm1 === IMM_MOFFS ? b.i64Parts(insn.disp, insn.immHigh) : b.i64(insn.disp);
  }
  /** 64-bit code: RIP after this instruction, moved by `offset`; counted from the start of the window, so that it is exact in a double. */
  offsetAfter(offset: number): number {
    return (this.nextHigh - this.csBase) * TWO32 + (this.next >>> 0) + offset;
  }
  /** All of the RIP at an offset in the window. */
  rip(offset: number): Value {
    const { b } = this;
    const translated = b.i64Parts(offset | 0, (this.csBase + highHalf(offset)) | 0);
    return this.movable ? b.add(b.codeOffset(), translated) : translated;
  }
  /** Use another effective address (BT with a register bit offset, POP relative to ESP). */
  setEa(v: Value): void {
    const { asize } = this.insn;
    if (asize === 1) this.#eaValue = this.cut(v, 16);
    else this.#eaValue = this.is64 && asize === 2 ? this.extend(this.low(v)) : v;
    this.#linear = -1;
  }
  /** Linear address of the memory operand, checked for `bytes` bytes. Once per instruction. */
  memory(bytes: number, access: number): Value {
    if (this.#linear < 0) this.#linear = this.linear(this.insn.segment, this.ea(), bytes, access);
    return this.#linear;
  }
  memoryAt(offset: number): Value {
    return this.addressAdd(this.#linear, offset);
  }
  /** A linear address moved by a constant. */
  addressAdd(address: Value, n: number): Value {
    if (n === 0) return address;
    // in compatibility mode addresses wrap at 4 GiB
    if (this.wide && !this.is64) return this.extend(this.plus(this.low(address), n));
    return this.plus(address, n);
  }

  /** Linear address of seg:offset after limit, type and alignment checks of an access of `bytes` bytes. */
  linear(seg: number, offset: Value, bytes: number, access: number): Value {
    const { b } = this;
    if (!this.is64 && (this.flags & (seg >= FS ? HF_FGCHECK : HF_SEGCHECK)) !== 0)
      this.#checkSegment(seg, offset, bytes, access);
    const lin = this.addBase(seg, offset);
    if ((this.flags & HF_ALIGN) !== 0 && bytes > 1 && (bytes & (bytes - 1)) === 0)
      b.raiseIf(b.and(this.low(lin), b.i32(bytes - 1)), EXC.AC, 0);
    return lin;
  }
  /** Linear address of seg:offset: i64 in 64-bit code and in compatibility mode. */
  addBase(seg: number, offset: Value): Value {
    const { b } = this;
    if (this.is64) return seg < FS ? offset : b.add(this.#baseOf(seg, ENVLD_I64), offset);
    let lin = offset;
    if (seg === CS) lin = b.add(offset, b.i32(this.csBase));
    else if (seg >= FS || (this.flags & HF_ADDSEG) !== 0) lin = b.add(this.#baseOf(seg, ENVLD_I32), offset);
    return this.wide ? this.extend(lin) : lin;
  }
  #baseOf(seg: number, load: number): Value {
    let base = this.#segBase[seg]!;
    if (base < 0) {
      base = this.b.emit(load, -1, -1, -1, ENV.SEG + seg * SEG_STRIDE + SEG_BASE);
      this.#hasBases = true;
      this.#segBase[seg] = base;
    }
    return base;
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
  /** Of the ModRM operand, or of any other address that is not the stack's. */
  load(size: number, address: Value, rmw = false): Value {
    return this.b.load(LOADS[size]!, address, (rmw ? MEM_RMW : 0) | this.stackFlag(this.insn.segment));
  }
  store(size: number, address: Value, v: Value): void {
    this.b.store(STORES[size]!, address, v, this.stackFlag(this.insn.segment));
  }
  /** Before the ModRM operand's 32 bytes are stored as two halves: leaves with the fault of either, when nothing is written yet. */
  checkWideStore(): void {
    this.b.load('ld128', this.memoryAt(16), MEM_RMW | MEM_WIDE | this.stackFlag(this.insn.segment));
  }
  /** Flag of a memory op that goes through segment `seg`: 64-bit addresses that are not canonical are #SS there, elsewhere #GP. */
  stackFlag(seg: number): number {
    return this.is64 && seg === SS ? MEM_STACK : 0;
  }
  /** Through SS, whatever the instruction's operand is. */
  loadStack(size: number, address: Value): Value {
    return this.b.load(LOADS[size]!, address, this.stackFlag(SS));
  }
  storeStack(size: number, address: Value, v: Value): void {
    this.b.store(STORES[size]!, address, v, this.stackFlag(SS));
  }

  // --- stack ------------------------------------------------------------------------------------------------------
  /** log2 of the stack's address size. */
  get stackSize(): number {
    if (this.is64) return 3;
    return (this.flags & HF_SS32) !== 0 ? 2 : 1;
  }
  /** Stack offset `delta` bytes from ESP, cut to the stack's address size. */
  stackOffset(delta: number): Value {
    const sp = this.plus(this.b.get(ESP), delta);
    return this.stackSize > 1 ? sp : this.cut(sp, 16);
  }
  /** Linear address of the stack slot at ESP + delta. */
  stackAddress(delta: number, size: number, access: number): Value {
    return this.linear(SS, this.stackOffset(delta), 1 << size, access);
  }
  /** Set RSP (or ESP, SP) = v. */
  setSp(v: Value): void {
    this.setReg(ESP, this.stackSize, v);
  }
  /** Store a value of `size` on the stack and move ESP: the last memory act of the instruction. */
  push(size: number, v: Value): void {
    const offset = this.stackOffset(-(1 << size));
    this.storeStack(size, this.linear(SS, offset, 1 << size, ACCESS_WRITE), v);
    this.setSp(offset);
  }
  /** Value on top of the stack; ESP is moved by the caller with `dropStack`. */
  top(size: number): Value {
    return this.loadStack(size, this.stackAddress(0, size, ACCESS_READ));
  }
  dropStack(bytes: number): void {
    this.setSp(this.stackOffset(bytes));
  }

  // --- env --------------------------------------------------------------------------------------------------------
  envLoad(offset: number): Value {
    return this.b.emit(ENVLD_I32, -1, -1, -1, offset);
  }
  envLoad64(offset: number): Value {
    return this.b.emit(ENVLD_I64, -1, -1, -1, offset);
  }
  envStore(offset: number, v: Value): void {
    const type = this.b.typeOf(v);
    this.b.emit(type === V128 ? ENVST_V128 : type === I64 ? ENVST_I64 : ENVST_I32, v, -1, -1, offset);
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
