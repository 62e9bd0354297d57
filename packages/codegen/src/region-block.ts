/**
 * Code of one block of a region. Pure values used once become part of the expression that uses them; others get a
 * local. Guest accesses are grouped by base value so that one TLB check serves several.
 */
import { I32, I64, MEM_RMW, MEM_SUPERVISOR, OPS, opId } from '@emkit/ir';
import type { IrBlock, IrType } from '@emkit/ir';
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, Label } from '@emkit/wasm';
import { narrowLoad, narrowStore } from './cold-handlers.ts';
import { CTL, ENV_BASE, EXIT_KIND, TLB } from './layout.ts';
import { LOWERING } from './lowering.ts';
import { baseOf, isNarrow, offsetOf } from './access-base.ts';
import { hostAddress, hostLoad, hostStore, leaveOnMiss, MEMORY_OPS, tlbMisses, tlbOffset } from './memory-ops.ts';
import { emitBulk } from './region-bulk.ts';
import { emitDeviceCall } from './region-device.ts';
import { pushExit } from './region-exit.ts';
import type { RegionExit } from './region-exit.ts';
import type { RegionBlock, RegionOptions } from './region-input.ts';
import { EFFECT, END_OF, GROUP_SPAN, INS, IS_BOOLEAN, OUT, VALTYPES } from './region-kinds.ts';
import type { BlockEnd, Group } from './region-kinds.ts';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const V128_CONST = opId('v128_const');
const ENV_ADDR = opId('env_addr');
const CODE_OFFSET = opId('code_offset');
const I32_AND = opId('i32_and');
const SHUFFLE = opId('i8x16_shuffle');
const INSN_START = opId('insn_start');
const BAIL_IF_WORK = opId('bail_if_work');

export class RegionBlockEmitter {
  exit!: Label;
  /** Local with the budget, and with the place. */
  budget = 0;
  place = 0;
  /** Local with the pc of an indirect jump, by its width. */
  readonly indirectPc: number;
  readonly indirectPc64: number;
  /** In a movable region: the same as if it ran where it was translated. */
  readonly translatedPc: number;
  readonly #f: FunctionBuilder;
  readonly #globalLocal: Int32Array;
  readonly #options: RegionOptions;
  readonly #tlb: number;
  readonly #grouping: boolean;
  readonly #scratch: { i32: number; i64: number };
  readonly #address: number;
  readonly #address64: number;
  readonly #entry: number;
  /** Free temporaries by type. */
  readonly #pool: number[][] = [[], [], [], [], []];
  #ir!: IrBlock;
  #end = 0;
  #uses = new Int32Array(1024);
  /** Index of the op at whose emission the value is last read, deferred uses included. */
  #lastUse = new Int32Array(1024);
  /** Emission point of a deferred value: the op that is emitted and contains it. */
  #root = new Int32Array(1024);
  /** Local holding the value, -1 none (constants and deferred values). */
  #local = new Int32Array(1024);
  /** 1: local is a global's own and is not given back. */
  #borrowed = new Uint8Array(1024);
  #groupOf: (Group | undefined)[] = [];
  #pc = 0;
  #insn = 0;
  #pending = 0;
  #sideExit: RegionExit | undefined;
  readonly #targets = [0, 0];

  constructor(f: FunctionBuilder, globalLocal: Int32Array, options: RegionOptions, tlb: number, grouping: boolean) {
    this.#f = f;
    this.#globalLocal = globalLocal;
    this.#options = options;
    this.#tlb = tlb;
    this.#grouping = grouping;
    this.#scratch = { i32: f.addLocal(VALTYPE.i32), i64: f.addLocal(VALTYPE.i64) };
    this.#address = f.addLocal(VALTYPE.i32);
    this.#address64 = f.addLocal(VALTYPE.i64);
    this.#entry = f.addLocal(VALTYPE.i32);
    this.indirectPc = f.addLocal(VALTYPE.i32);
    this.indirectPc64 = f.addLocal(VALTYPE.i64);
    this.translatedPc = f.addLocal(VALTYPE.i64);
  }

  /** Pc of the k-th direct successor of the block just emitted. */
  target(k: number): number {
    return this.#targets[k];
  }

  /** Instructions run at the end of the block just emitted since the budget was last counted. */
  get uncounted(): number {
    return this.#pending + this.#ir.insnCount;
  }

  /** Emits everything but the terminator's branches; for 'br' the condition is left on the stack. */
  body(block: RegionBlock, pending: number): BlockEnd {
    const ir = (this.#ir = block.ir);
    this.#end = block.stopAt >= 0 ? block.stopAt : ir.count;
    this.#pending = pending;
    this.#insn = 0;
    this.#prepare();
    for (let i = 0; i < this.#end; i++) this.#op(i);
    if (block.stopAt >= 0) {
      // the instruction at stopAt exists only in the cold tier
      pushExit(this.#f, this.#exitHere()).br(this.exit);
      this.#releaseAll();
      return 'stopped';
    }
    const last = ir.count - 1;
    this.#targets[0] = ir.imm[last];
    this.#targets[1] = ir.imm2[last];
    const kind = END_OF[ir.op[last]]!;
    if (kind !== 'jmp' && kind !== 'exit') this.#push(ir.a[last]);
    if (kind === 'indirect') this.#f.set(this.indirectPc);
    else if (kind === 'indirect64') this.#f.set(this.indirectPc64);
    this.#releaseAll();
    return kind;
  }

  #op(i: number): void {
    const f = this.#f;
    const ir = this.#ir;
    const o = ir.op[i];
    switch (EFFECT[o]) {
      case 'marker':
        if (o === INSN_START) {
          this.#pc = ir.imm[i];
          this.#insn = ir.c[i];
          this.#sideExit = undefined;
        }
        return;
      case 'pure':
        if (this.#uses[i] === 0 || this.#root[i] !== i || INS[o] === 0) return;
        this.#compute(i);
        this.#keep(i);
        break;
      case 'get': {
        if (this.#uses[i] === 0) return;
        const g = this.#globalLocal[ir.imm[i]];
        if (this.#changesBefore(ir.imm[i], i, this.#lastUse[i])) {
          f.get(g);
          this.#keep(i);
        } else {
          this.#local[i] = g;
          this.#borrowed[i] = 1;
        }
        return;
      }
      case 'set':
        this.#push(ir.a[i]);
        f.set(this.#globalLocal[ir.imm[i]]);
        break;
      case 'envld':
        if (INS[o] === 0) f.i32Const(0);
        else this.#push(ir.a[i]);
        narrowLoad(f, OPS[o].name, OPS[o].out, ENV_BASE + ir.imm[i]);
        this.#keep(i);
        break;
      case 'envst':
        if (INS[o] === 1) f.i32Const(0);
        else this.#push(ir.a[i]);
        this.#push(INS[o] === 1 ? ir.a[i] : ir.b[i]);
        narrowStore(f, OPS[o].name, OPS[o].ins[INS[o] - 1], ENV_BASE + ir.imm[i]);
        break;
      case 'load':
      case 'store':
        this.#memory(i);
        break;
      case 'bulk':
        this.#bulk(i);
        break;
      case 'guard':
        this.#guard(ir.a[i], o === BAIL_IF_WORK);
        break;
      case 'callw':
        for (let n = 0; n < INS[o]; n++) this.#push(ir.operand(i, n));
        f.call(this.#options.helper(ir.imm[i]));
        this.#keep(i);
        break;
      case 'calld':
        this.#device(i);
        break;
      default:
        return; // terminators: the caller's
    }
    this.#release(i);
  }

  #device(i: number): void {
    const { op, imm } = this.#ir;
    const uncounted = this.#pending + this.#insn + 1;
    const call = { device: this.#options.device(), helper: imm[i], budget: this.budget, uncounted, args: INS[op[i]] };
    emitDeviceCall(this.#f, call, (n) => this.#push(this.#ir.operand(i, n)));
    this.#pending = -(this.#insn + 1);
    this.#keep(i);
  }

  /** Leaves if `condition` holds (and there is work, if `work`). A conjunction of comparisons tests the second only when the first holds. */
  #guard(condition: number, work: boolean): void {
    const f = this.#f;
    const ir = this.#ir;
    const here = this.#exitHere();
    if (work) {
      f.i32Const(CTL.WORK).load(OP.i32_load, 2, 0);
      f.unlikely().if_();
      pushExit(f, here);
      this.#push(condition);
      f.unlikely().brIf(this.exit).drop();
      f.end();
      return;
    }
    const { op } = ir;
    if (
      op[condition] === I32_AND &&
      this.#local[condition] < 0 &&
      IS_BOOLEAN[op[ir.a[condition]]] === 1 &&
      IS_BOOLEAN[op[ir.b[condition]]] === 1
    ) {
      this.#push(ir.a[condition]);
      f.if_();
      pushExit(f, here);
      this.#push(ir.b[condition]);
      f.unlikely().brIf(this.exit).drop();
      f.end();
      return;
    }
    pushExit(f, here);
    this.#push(condition);
    f.unlikely().brIf(this.exit).drop();
  }

  // --- values -------------------------------------------------------------------------------------------------
  /** Pushes a value: constant, local, or the whole deferred expression. */
  #push(v: number): void {
    const f = this.#f;
    const ir = this.#ir;
    if (this.#local[v] >= 0) {
      f.get(this.#local[v]);
      return;
    }
    const o = ir.op[v];
    if (o === I32_CONST) f.i32Const(ir.imm[v]);
    else if (o === ENV_ADDR) f.i32Const(ENV_BASE + ir.imm[v]);
    else if (o === I64_CONST) f.i64ConstParts(ir.imm[v], ir.imm2[v]);
    else if (o === CODE_OFFSET) f.get(this.place);
    else if (o === V128_CONST) f.v128Const(ir.vectors[ir.imm[v]]);
    else this.#compute(v);
  }

  #compute(v: number): void {
    const ir = this.#ir;
    const o = ir.op[v];
    for (let n = 0; n < INS[o]; n++) this.#push(ir.operand(v, n));
    if (o === SHUFFLE) this.#f.shuffle(ir.vectors[ir.imm[v]]);
    else LOWERING[o]!(this.#f, this.#scratch, ir.imm[v]);
  }

  /** The value on the stack goes to a temporary, or nowhere if it is unused. */
  #keep(v: number): void {
    if (this.#uses[v] === 0) {
      this.#f.drop();
      return;
    }
    this.#f.set((this.#local[v] = this.#alloc(OUT[this.#ir.op[v]] as IrType)));
  }

  #alloc(type: IrType): number {
    return this.#pool[type].pop() ?? this.#f.addLocal(VALTYPES[type]);
  }

  /** Gives back temporaries whose last reader has been emitted at op i. */
  #release(i: number): void {
    this.#releaseOperands(i, i);
  }
  #releaseOperands(op: number, at: number): void {
    const ir = this.#ir;
    const n = INS[ir.op[op]];
    for (let k = 0; k < n; k++) {
      const v = ir.operand(op, k);
      if (v < 0) continue;
      if (this.#local[v] < 0) {
        if (this.#root[v] !== v) this.#releaseOperands(v, at);
      } else if (this.#lastUse[v] === at && this.#borrowed[v] === 0) {
        this.#pool[OUT[ir.op[v]]].push(this.#local[v]);
        this.#lastUse[v] = -1;
      }
    }
  }
  #releaseAll(): void {
    const ir = this.#ir;
    for (let v = 0; v < this.#end; v++) {
      if (this.#local[v] >= 0 && this.#borrowed[v] === 0 && this.#lastUse[v] >= 0)
        this.#pool[OUT[ir.op[v]]].push(this.#local[v]);
    }
    for (const g of this.#groupOf) {
      if (g !== undefined && g.host >= 0) {
        this.#pool[I32].push(g.host);
        g.host = -1;
      }
    }
  }

  #changesBefore(g: number, from: number, to: number): boolean {
    const ir = this.#ir;
    for (let j = from + 1; j < to && j < this.#end; j++) if (EFFECT[ir.op[j]] === 'set' && ir.imm[j] === g) return true;
    return false;
  }

  /** Uses, deferral and last uses. */
  #prepare(): void {
    const ir = this.#ir;
    const n = ir.count;
    if (this.#uses.length < n) {
      this.#uses = new Int32Array(ir.op.length);
      this.#lastUse = new Int32Array(ir.op.length);
      this.#root = new Int32Array(ir.op.length);
      this.#local = new Int32Array(ir.op.length);
      this.#borrowed = new Uint8Array(ir.op.length);
    }
    this.#uses.fill(0, 0, n);
    this.#lastUse.fill(-1, 0, n);
    this.#local.fill(-1, 0, n);
    this.#borrowed.fill(0, 0, n);
    this.#groupOf = [];
    const groups = new Map<number, Group[]>();
    const limit = this.#end;
    const defers = this.#options.optimisations.deferral;
    for (let i = limit - 1; i >= 0; i--) {
      const o = ir.op[i];
      const effect = EFFECT[o];
      if (effect === 'marker') continue;
      if (effect === 'pure' && this.#uses[i] === 0) continue;
      const single = defers && effect === 'pure' && INS[o] > 0 && this.#uses[i] === 1;
      // a value used once is computed where it is used; `#lastUse` names its (only) user's root here
      this.#root[i] = single ? this.#root[this.#lastUse[i]] : i;
      const at = this.#root[i];
      const memory = MEMORY_OPS[o];
      for (let k = 0; k < INS[o]; k++) {
        let v = ir.operand(i, k);
        if (k === 0 && memory !== undefined) v = baseOf(ir, v);
        if (v < 0) continue;
        this.#uses[v]++;
        if (this.#lastUse[v] < at) this.#lastUse[v] = at;
      }
    }
    for (let i = 0; i < limit; i++) if (MEMORY_OPS[ir.op[i]] !== undefined) this.#join(i, groups);
  }

  // --- guest memory -------------------------------------------------------------------------------------------
  #join(i: number, groups: Map<number, Group[]>): void {
    const ir = this.#ir;
    const m = MEMORY_OPS[ir.op[i]]!;
    const base = baseOf(ir, ir.a[i]);
    const offset = offsetOf(ir, ir.a[i]);
    const write = m.store || (ir.imm[i] & 1) !== 0;
    const supervisor = (ir.imm[i] & MEM_SUPERVISOR) !== 0;
    const key = base * 4 + (m.address === I64 ? 1 : 0) + (supervisor ? 2 : 0);
    let list = groups.get(key);
    if (list === undefined) groups.set(key, (list = []));
    let group = this.#grouping
      ? list.find((g) => Math.max(g.high, offset + m.size) - Math.min(g.low, offset) <= GROUP_SPAN)
      : undefined;
    // without grouping, a read-modify-write pair still shares its check
    group ??= list.find((g) => g.low <= offset && offset + m.size <= g.high && (g.write || !write));
    if (group === undefined) {
      const tlb = supervisor ? TLB.BASE : this.#tlb;
      group = { low: offset, high: offset + m.size, write, tlb, host: -1, members: 0 };
      list.push(group);
    }
    group.low = Math.min(group.low, offset);
    group.high = Math.max(group.high, offset + m.size);
    group.write ||= write;
    group.members++;
    this.#groupOf[i] = group;
  }

  #memory(i: number): void {
    const f = this.#f;
    const ir = this.#ir;
    const m = MEMORY_OPS[ir.op[i]]!;
    const group = this.#groupOf[i]!;
    if (group.host < 0) this.#check(i, group, m.address);
    const offset = offsetOf(ir, ir.a[i]) - group.low;
    if (m.store) {
      f.get(group.host);
      this.#push(ir.b[i]);
      hostStore(f, m, offset);
    } else if (this.#uses[i] !== 0) {
      f.get(group.host);
      hostLoad(f, m, offset);
      this.#keep(i);
    }
    if (--group.members === 0) {
      this.#pool[I32].push(group.host);
      group.host = -1;
      this.#groupOf[i] = undefined;
    }
  }

  #bulk(i: number): void {
    const ir = this.#ir;
    const type = OPS[ir.op[i]].ins[0];
    const locals = { bytes: this.#alloc(I32), to: this.#alloc(I32), from: this.#alloc(I32) };
    const address = type === I64 ? this.#address64 : this.#address;
    const sideExit = this.#exitHere();
    const x = { f: this.#f, exit: this.exit, sideExit, tlb: this.#tlb, type, address, entry: this.#entry, ...locals };
    emitBulk(x, ir.op[i], (n) => this.#push(ir.operand(i, n)));
    this.#pool[I32].push(locals.bytes, locals.to, locals.from);
  }

  /** The group's TLB check: leaves at this instruction on a miss, else sets the host address of base + low. */
  #check(i: number, group: Group, type: IrType): void {
    const f = this.#f;
    const base = baseOf(this.#ir, this.#ir.a[i]);
    const address = type === I64 ? this.#address64 : this.#address;
    if (base < 0 && type === I64) f.i64Const(group.low);
    else if (base < 0) f.i32Const(group.low);
    else {
      this.#push(base);
      const narrow = isNarrow(this.#ir, base);
      if (group.low !== 0) {
        if (narrow) f.i32Const(group.low).op(OP.i32_add);
        else f.i64Const(group.low).op(OP.i64_add);
      }
      if (narrow && type === I64) f.op(OP.i64_extend_i32_u);
    }
    f.set(address);
    tlbOffset(f, address, type);
    f.set(this.#entry);
    tlbMisses(f, address, type, this.#entry, group.tlb, group.high - group.low, group.write);
    // the group's check may ask for more, but what a later access needs is not this instruction's
    const write = MEMORY_OPS[this.#ir.op[i]]!.store || (this.#ir.imm[i] & MEM_RMW) !== 0;
    leaveOnMiss(f, address, type, { way: this.#exitHere(), write, tlb: group.tlb, exit: this.exit });
    hostAddress(f, address, type, this.#entry, group.tlb);
    group.host = this.#alloc(I32);
    f.set(group.host);
  }

  /** The way out at the current instruction's start: one for all its checks. */
  #exitHere(): RegionExit {
    if (this.#sideExit === undefined) {
      const kind = EXIT_KIND.COLD;
      const insns = this.#pending + this.#insn;
      this.#sideExit = { record: this.#options.exitRecord(kind, this.#pc, insns), kind, insns };
    }
    return this.#sideExit;
  }
}
