/**
 * Fills TLB entries in WebAssembly: fill(address i64, access 0 read, 1 write, 2 fetch, user 0 or 1) -> 1 when the TLB has an entry now
 * that the access hits (unless it crosses the page), 0 when script must look: nothing has changed then. Made from the
 * target's tables of paging modes (page-walk.ts); only what is plain is answered, a refusal is for script to repeat and to judge, unless
 * MMU.FAULT says that it is a plain fault.
 *
 * Accessed and dirty bits are written when everything else has been decided. Tables are read and written only inside the ranges of
 * plain RAM that the softmmu names (MMU.RANGES); a table in a page that holds code is script's to write.
 */
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, Label, ModuleBuilder } from '@emkit/wasm';
import { ENV_BASE, TLB } from './layout.ts';
import { IN_GLOBAL, IN_LOCAL, IS_GLOBAL, MMU, PAGE_NUMBER } from './mmu-layout.ts';
import { noteFault } from './fault-code.ts';
import type { PageMode, PageWalk } from './page-walk.ts';
import { buildFindRam, isCodePage } from './plain-ram.ts';

const { i32: I32, i64: I64 } = VALTYPE;
const WRITE = 1;
const EXEC = 2;
const NO_EXECUTE = 1n << 63n;
const KEY_SHIFT = 59;

/** Adds `fill` to the module and returns its index. */
export function buildPageWalker(mb: ModuleBuilder, walk: PageWalk): number {
  const find = mb.addFunction(mb.addType([I32], [I32]));
  buildFindRam(find);
  const f = mb.addFunction(mb.addType([I64, I32, I32], [I32]));
  new FillEmitter(f, walk, find.index).emit();
  return f.index;
}

class FillEmitter {
  readonly #f: FunctionBuilder;
  readonly #walk: PageWalk;
  readonly #find: number;
  // parameters
  readonly #address = 0;
  readonly #access = 1;
  readonly #user = 2;
  // locals
  readonly #page: number;
  readonly #tlb: number;
  readonly #control: number;
  /** Physical address of the next table, then of the page. */
  readonly #phys: number;
  /** The entry read last, which is the one that maps the page in the end; where it is. */
  readonly #leaf: number;
  readonly #leafAt: number;
  /** Where the entries of the other levels are; 0: there is none. */
  readonly #at: readonly number[];
  /** AND and OR of all levels. */
  readonly #all: number;
  readonly #any: number;
  readonly #reserved: number;
  readonly #host: number;
  readonly #number: number;
  readonly #readable: number;
  readonly #writable: number;
  readonly #word: number;
  /** Bit of the error code: all levels were present. */
  readonly #present: number;
  /** The mode has entries of 8 bytes. */
  readonly #bytes8: number;
  #refuse!: Label;
  /** The access faults, and nothing else can be the case. */
  #faulted!: Label;
  #mapped!: Label;

  constructor(f: FunctionBuilder, walk: PageWalk, find: number) {
    // page numbers are i32
    if (walk.modes.some((m) => m.frame >> 44n !== 0n)) throw new Error('physical addresses of more than 44 bits');
    this.#f = f;
    this.#walk = walk;
    this.#find = find;
    this.#page = f.addLocal(I64);
    this.#tlb = f.addLocal(I32);
    this.#control = f.addLocal(I32);
    this.#phys = f.addLocal(I64);
    this.#leaf = f.addLocal(I64);
    this.#leafAt = f.addLocal(I32);
    const depth = Math.max(...walk.modes.map((m) => m.levels.length));
    this.#at = Array.from({ length: depth - 1 }, () => f.addLocal(I32));
    this.#all = f.addLocal(I64);
    this.#any = f.addLocal(I64);
    this.#reserved = f.addLocal(I64);
    this.#host = f.addLocal(I32);
    this.#number = f.addLocal(I32);
    this.#readable = f.addLocal(I32);
    this.#writable = f.addLocal(I32);
    this.#word = f.addLocal(I32);
    this.#present = f.addLocal(I32);
    this.#bytes8 = f.addLocal(I32);
  }

  emit(): void {
    const f = this.#f;
    const { modes } = this.#walk;
    this.#refuse = f.block();
    f.i32Const(MMU.FAULT).i32Const(-1).store(OP.i32_store, 2, 0);
    this.#faulted = f.block();
    this.#lookAtEntry();
    f.i32Const(MMU.WALK).load(OP.i32_load, 2, 0).set(this.#control);
    this.#mapped = f.block();
    const labels: Label[] = [];
    for (let k = modes.length - 1; k >= 0; k--) labels[k] = f.block();
    f.get(this.#control).i32Const(this.#walk.control.mode).op(OP.i32_and);
    f.brTable([this.#refuse, ...labels], this.#refuse);
    for (const mode of modes) {
      f.end();
      if (mode.entryBytes === 0) this.#identity(mode);
      else this.#mode(mode);
    }
    f.end(); // mapped
    this.#rights();
    this.#ram(this.#phys);
    this.#markTables();
    this.#store();
    f.return_();
    f.end(); // faulted
    noteFault(f, this.#walk, [this.#access, this.#user, this.#control, this.#present, this.#bytes8]);
    f.end(); // refuse
    f.i32Const(0);
  }

  /** The condition on the stack refuses. */
  #refuseIf(): void {
    this.#f.brIf(this.#refuse);
  }
  /** The condition on the stack is a fault. */
  #faultIf(): void {
    this.#f.brIf(this.#faulted);
  }
  /** Pushes (low half of an i64 local & mask). */
  #low(local: number, mask: number): FunctionBuilder {
    return this.#f.get(local).op(OP.i32_wrap_i64).i32Const(mask).op(OP.i32_and);
  }
  #flag(mask: number): FunctionBuilder {
    return this.#f.get(this.#control).i32Const(mask).op(OP.i32_and);
  }
  #isAccess(access: number): FunctionBuilder {
    return this.#f.get(this.#access).i32Const(access).op(OP.i32_eq);
  }

  /** An entry that hits already is not what the access missed. One that withholds its write tag for code gives it when the code is gone. */
  #lookAtEntry(): void {
    const f = this.#f;
    f.get(this.#address).i64Const(-4096).op(OP.i64_and).set(this.#page);
    f.get(this.#address)
      .i64Const(12 - Math.log2(TLB.ENTRY_SIZE))
      .op(OP.i64_shr_u)
      .op(OP.i32_wrap_i64);
    f.i32Const((TLB.ENTRIES - 1) * TLB.ENTRY_SIZE).op(OP.i32_and);
    f.get(this.#user).i32Const(TLB.MODE_SIZE).op(OP.i32_mul).op(OP.i32_add).i32Const(TLB.BASE).op(OP.i32_add);
    f.set(this.#tlb);
    f.get(this.#tlb).get(this.#access).i32Const(3).op(OP.i32_shl).op(OP.i32_add);
    f.load(OP.i64_load, 3, TLB.TAG_READ).get(this.#page).op(OP.i64_eq);
    this.#refuseIf();
    this.#isAccess(WRITE);
    f.get(this.#tlb).load(OP.i64_load, 3, TLB.TAG_READ).get(this.#page).op(OP.i64_eq).op(OP.i32_and);
    f.get(this.#tlb).load(OP.i32_load, 2, TLB.HOST_PAGE).tee(this.#word).i32Const(0).op(OP.i32_lt_s).op(OP.i32_and);
    f.if_();
    f.get(this.#word).i32Const(PAGE_NUMBER).op(OP.i32_and).set(this.#number);
    isCodePage(f, this.#number);
    this.#refuseIf();
    f.get(this.#tlb).get(this.#page).store(OP.i64_store, 3, TLB.TAG_WRITE);
    f.i32Const(1).return_();
    f.end();
  }

  /** An address that the mode cannot have is refused. */
  #checkAddress(bits: number): void {
    const f = this.#f;
    if (bits === 32) f.get(this.#address).i64Const(32).op(OP.i64_shr_u).i64Const(0).op(OP.i64_ne);
    else {
      f.get(this.#address)
        .i64Const(64 - bits)
        .op(OP.i64_shl)
        .i64Const(64 - bits)
        .op(OP.i64_shr_s);
      f.get(this.#address).op(OP.i64_ne);
    }
    this.#refuseIf();
  }

  #identity(mode: PageMode): void {
    const f = this.#f;
    this.#checkAddress(mode.addressBits);
    f.get(this.#page).set(this.#phys);
    f.i64Const(~this.#walk.bits.global).tee(this.#leaf).set(this.#all);
    f.br(this.#mapped);
  }

  #mode(mode: PageMode): void {
    const f = this.#f;
    const { bits, control } = this.#walk;
    this.#checkAddress(mode.addressBits);
    f.i64Const(mode.reserved);
    if (mode.entryBytes === 8) {
      f.i32Const(1).set(this.#bytes8);
      f.i64Const(mode.reserved | NO_EXECUTE);
      this.#flag(control.noExecute);
      f.select();
    }
    f.set(this.#reserved);
    this.#root(mode);
    mode.levels.forEach((level, k) => {
      const isLast = k === mode.levels.length - 1;
      this.#ram(this.#phys);
      f.get(this.#number).i32Const(12).op(OP.i32_shl);
      f.get(this.#address).i64Const(level.shift).op(OP.i64_shr_u).op(OP.i32_wrap_i64);
      f.i32Const((1 << level.bits) - 1).op(OP.i32_and);
      f.i32Const(Math.log2(mode.entryBytes)).op(OP.i32_shl).op(OP.i32_or).tee(this.#leafAt);
      f.load(mode.entryBytes === 8 ? OP.i64_load : OP.i64_load32_u, 2, 0).set(this.#leaf);
      this.#low(this.#leaf, bits.present).op(OP.i32_eqz);
      this.#faultIf();
      f.get(this.#leaf).get(this.#reserved).op(OP.i64_and).i64Const(0).op(OP.i64_ne);
      this.#refuseIf();
      f.get(this.#leaf);
      if (k > 0) f.get(this.#all).op(OP.i64_and);
      f.set(this.#all).get(this.#leaf);
      if (k > 0) f.get(this.#any).op(OP.i64_or);
      f.set(this.#any);
      f.get(this.#leaf).i64Const(mode.frame).op(OP.i64_and).set(this.#phys);
      if (isLast) return;
      this.#large(level.large, level.shift);
      f.get(this.#leafAt).set(this.#at[k]);
    });
    f.br(this.#mapped);
  }

  #root(mode: PageMode): void {
    const f = this.#f;
    const { offset, select } = mode.root;
    if (select === undefined) f.i32Const(0);
    else {
      f.get(this.#address).i64Const(select.shift).op(OP.i64_shr_u).op(OP.i32_wrap_i64);
      f.i32Const((1 << select.bits) - 1)
        .op(OP.i32_and)
        .i32Const(3)
        .op(OP.i32_shl);
    }
    f.load(OP.i64_load, 3, ENV_BASE + offset).tee(this.#phys);
    if (select === undefined) f.drop();
    else {
      f.op(OP.i32_wrap_i64).i32Const(this.#walk.bits.present).op(OP.i32_and).op(OP.i32_eqz);
      this.#faultIf();
    }
    f.get(this.#phys).i64Const(mode.frame).op(OP.i64_and).set(this.#phys);
  }

  /** The entry of a level that is not the last may map a page. `phys` is its frame. */
  #large(large: PageMode['levels'][number]['large'], shift: number): void {
    const f = this.#f;
    const { bits, control } = this.#walk;
    this.#low(this.#leaf, bits.large);
    if (large === 'never') {
      this.#refuseIf();
      return;
    }
    if (large.optional)
      this.#flag(control.large).i32Const(0).op(OP.i32_ne).i32Const(bits.large).op(OP.i32_mul).op(OP.i32_and);
    f.if_();
    this.#low(this.#leaf, large.reserved);
    this.#refuseIf();
    const inside = (1n << BigInt(shift)) - 1n;
    f.get(this.#phys).i64Const(~inside).op(OP.i64_and).get(this.#page).i64Const(inside).op(OP.i64_and).op(OP.i64_or);
    if (large.high !== undefined) {
      f.get(this.#leaf).i64Const(large.high.shift).op(OP.i64_shr_u);
      f.i64Const((1 << large.high.bits) - 1)
        .op(OP.i64_and)
        .i64Const(32)
        .op(OP.i64_shl)
        .op(OP.i64_or);
    }
    f.set(this.#phys).br(this.#mapped);
    f.end();
  }

  /** Host page of a physical address, to `number`; outside plain RAM: refused. */
  #ram(phys: number): void {
    const f = this.#f;
    f.get(phys).i64Const(12).op(OP.i64_shr_u).op(OP.i32_wrap_i64).tee(this.#host);
    f.i32Const(MMU.RANGES).load(OP.i32_load, 2, 0).op(OP.i32_sub).tee(this.#number);
    f.i32Const(MMU.RANGES).load(OP.i32_load, 2, 4).op(OP.i32_lt_u);
    f.if_();
    f.i32Const(MMU.RANGES).load(OP.i32_load, 2, 8).get(this.#number).op(OP.i32_add).set(this.#number);
    f.else_();
    f.get(this.#host).call(this.#find).tee(this.#number).op(OP.i32_eqz);
    this.#refuseIf();
    f.end();
  }

  /** What the mapping allows: `readable`, `writable` (whether dirty or not), and the sign of `any` for fetches. */
  #rights(): void {
    const f = this.#f;
    const { bits, control, keys } = this.#walk;
    const userPage = (): FunctionBuilder => this.#low(this.#all, bits.user);
    f.i32Const(this.#walk.faults?.present ?? 0).set(this.#present);
    f.get(this.#user);
    f.if_();
    userPage().op(OP.i32_eqz);
    this.#faultIf();
    f.else_();
    userPage();
    f.if_();
    this.#flag(control.noUserAccess);
    this.#refuseIf();
    this.#flag(control.noUserExecute);
    f.if_();
    f.i64Const(-1).set(this.#any);
    f.end();
    f.end();
    f.end();
    const heedsWrite = (): FunctionBuilder => {
      f.get(this.#user);
      return this.#flag(control.writeProtect).op(OP.i32_or);
    };
    this.#low(this.#all, bits.write).i32Const(0).op(OP.i32_ne);
    heedsWrite().op(OP.i32_eqz).op(OP.i32_or).tee(this.#writable).op(OP.i32_eqz);
    this.#isAccess(WRITE).op(OP.i32_and);
    this.#faultIf();
    f.i32Const(1).set(this.#readable);
    this.#flag(control.keys).op(OP.i32_eqz).op(OP.i32_eqz);
    userPage().op(OP.i32_eqz).op(OP.i32_eqz).op(OP.i32_and);
    f.if_();
    f.i32Const(0).load(OP.i32_load, 2, ENV_BASE + keys);
    f.get(this.#leaf).i64Const(KEY_SHIFT).op(OP.i64_shr_u).op(OP.i32_wrap_i64).i32Const(15).op(OP.i32_and);
    f.i32Const(1).op(OP.i32_shl).op(OP.i32_shr_u).tee(this.#word);
    f.i32Const(1).op(OP.i32_and);
    f.if_();
    f.i32Const(0).tee(this.#readable).set(this.#writable);
    f.end();
    f.get(this.#word).i32Const(2).op(OP.i32_and).op(OP.i32_eqz).op(OP.i32_eqz);
    heedsWrite().op(OP.i32_eqz).op(OP.i32_eqz).op(OP.i32_and);
    f.if_();
    f.i32Const(0).set(this.#writable);
    f.end();
    f.end();
    const refuseUnless = (access: number, allowed: () => void): void => {
      this.#isAccess(access);
      f.if_();
      allowed();
      f.op(OP.i32_eqz);
      this.#refuseIf();
      f.end();
    };
    refuseUnless(0, () => f.get(this.#readable));
    refuseUnless(WRITE, () => f.get(this.#writable));
    refuseUnless(EXEC, () => f.get(this.#any).i64Const(0).op(OP.i64_ge_s));
  }

  /** Accessed bits of all levels and the dirty bit of a page that is written. The page's host number stays in `number`. */
  #markTables(): void {
    const f = this.#f;
    const { accessed, dirty } = this.#walk.bits;
    this.#low(this.#all, accessed).op(OP.i32_eqz);
    this.#low(this.#leaf, dirty).op(OP.i32_eqz);
    this.#isAccess(WRITE).op(OP.i32_and).op(OP.i32_or);
    f.if_();
    for (const at of [...this.#at, this.#leafAt]) {
      f.get(at).i32Const(12).op(OP.i32_shr_u).set(this.#host);
      isCodePage(f, this.#host);
      this.#refuseIf();
    }
    for (const at of this.#at) {
      f.get(at);
      f.if_();
      f.get(at).get(at).load(OP.i32_load, 2, 0).i32Const(accessed).op(OP.i32_or).store(OP.i32_store, 2, 0);
      f.end();
    }
    f.get(this.#leafAt)
      .get(this.#leaf)
      .i64Const(accessed | dirty)
      .i64Const(accessed);
    this.#isAccess(WRITE).select();
    f.op(OP.i64_or).tee(this.#leaf).op(OP.i32_wrap_i64).store(OP.i32_store, 2, 0);
    f.end();
  }

  /** Writes the entry and notes it; pushes the result. */
  #store(): void {
    const f = this.#f;
    const { bits, control } = this.#walk;
    const isCode = this.#host;
    isCodePage(f, this.#number);
    f.set(isCode);
    this.#low(this.#leaf, bits.dirty)
      .op(OP.i32_eqz)
      .op(OP.i32_eqz)
      .get(this.#writable)
      .op(OP.i32_and)
      .set(this.#writable);
    // a tag that is not given: the low half is no page
    const tag = (at: number, allowed: () => void): void => {
      f.get(this.#tlb).get(this.#page).get(this.#page).i64Const(0xffff_ffffn).op(OP.i64_or);
      allowed();
      f.select().store(OP.i64_store, 3, at);
    };
    tag(TLB.TAG_READ, () => f.get(this.#readable));
    tag(TLB.TAG_WRITE, () => f.get(isCode).op(OP.i32_eqz).get(this.#writable).op(OP.i32_and));
    tag(TLB.TAG_EXEC, () => f.get(this.#any).i64Const(0).op(OP.i64_ge_s));
    f.get(this.#tlb).get(this.#number).i32Const(12).op(OP.i32_shl);
    f.get(this.#page).op(OP.i32_wrap_i64).op(OP.i32_sub).store(OP.i32_store, 2, TLB.ADDEND);
    // the lists' bits stay
    f.get(this.#tlb)
      .load(OP.i32_load, 2, TLB.HOST_PAGE)
      .i32Const(IN_LOCAL | IN_GLOBAL)
      .op(OP.i32_and);
    f.get(this.#number).op(OP.i32_or).get(this.#writable).i32Const(31).op(OP.i32_shl).op(OP.i32_or).set(this.#word); // MAY_WRITE
    this.#low(this.#leaf, bits.global).op(OP.i32_eqz).op(OP.i32_eqz);
    this.#flag(control.globals).op(OP.i32_eqz).op(OP.i32_eqz).op(OP.i32_and);
    f.if_();
    f.get(this.#word).i32Const(IS_GLOBAL).op(OP.i32_or).set(this.#word);
    this.#list(IN_GLOBAL, MMU.GLOBAL_COUNT, MMU.GLOBAL_LIST);
    f.else_();
    this.#list(IN_LOCAL, MMU.LOCAL_COUNT, MMU.LOCAL_LIST);
    f.end();
    f.get(this.#tlb).get(this.#word).store(OP.i32_store, 2, TLB.HOST_PAGE);
    f.i32Const(MMU.FILLS)
      .i32Const(MMU.FILLS)
      .load(OP.i32_load, 2, 0)
      .i32Const(1)
      .op(OP.i32_add)
      .store(OP.i32_store, 2, 0);
    // a write to code is not plain
    f.get(isCode).op(OP.i32_eqz);
    this.#isAccess(WRITE).op(OP.i32_eqz).op(OP.i32_or);
  }

  #list(bit: number, count: number, list: number): void {
    const f = this.#f;
    f.get(this.#word).i32Const(bit).op(OP.i32_and).op(OP.i32_eqz);
    f.if_();
    f.get(this.#word).i32Const(bit).op(OP.i32_or).set(this.#word);
    f.i32Const(count).load(OP.i32_load, 2, 0).i32Const(1).op(OP.i32_shl);
    f.get(this.#tlb).i32Const(TLB.BASE).op(OP.i32_sub).i32Const(Math.log2(TLB.ENTRY_SIZE)).op(OP.i32_shr_u);
    f.store(OP.i32_store16, 1, list);
    f.i32Const(count).i32Const(count).load(OP.i32_load, 2, 0).i32Const(1).op(OP.i32_add).store(OP.i32_store, 2, 0);
    f.end();
  }
}
