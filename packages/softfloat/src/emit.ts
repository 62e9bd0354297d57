/**
 * A small typed expression layer over FunctionBuilder: values are expression trees, statements emit at once.
 *
 * An `Expr` may be used more than once (its code is then emitted again); anything costly or with an effect
 * belongs in a `Var` first. Macros elsewhere in this package are plain functions that take a `Fn` and `Var`s.
 * It does no optimisation: the wasm engine does that.
 */
import { ModuleBuilder, OP, VALTYPE, type FunctionBuilder, type ValType } from '@emkit/wasm';

/** Vectors have their own operations: emit-vector.ts. */
export type Ty = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
/** A number means a constant of the type of the other operand (for i64: a signed safe integer). */
export type Arg = Expr | number;
type Gen = (b: FunctionBuilder) => void;

const VAL: { readonly [ty in Ty]: ValType } = {
  i32: VALTYPE.i32,
  i64: VALTYPE.i64,
  f32: VALTYPE.f32,
  f64: VALTYPE.f64,
  v128: VALTYPE.v128,
};

export class Expr {
  readonly ty: Ty;
  readonly gen: Gen;
  constructor(ty: Ty, gen: Gen) {
    this.ty = ty;
    this.gen = gen;
  }
  #bin(name: string, o: Arg, ty: Ty = this.ty): Expr {
    const other = lift(this.ty, o);
    if (other.ty !== this.ty) throw new TypeError(`${name}: ${this.ty} with ${other.ty}`);
    const code = opcode(`${this.ty}_${name}`);
    return new Expr(ty, (b) => {
      this.gen(b);
      other.gen(b);
      b.op(code);
    });
  }
  /** One unary opcode given by its full text name ('.' -> '_'). */
  un(name: string, ty: Ty = this.ty): Expr {
    const code = opcode(name);
    return new Expr(ty, (b) => {
      this.gen(b);
      b.op(code);
    });
  }
  add(o: Arg): Expr {
    return this.#bin('add', o);
  }
  sub(o: Arg): Expr {
    return this.#bin('sub', o);
  }
  mul(o: Arg): Expr {
    return this.#bin('mul', o);
  }
  /** Floating-point division. */
  div(o: Arg): Expr {
    return this.#bin('div', o);
  }
  divU(o: Arg): Expr {
    return this.#bin('div_u', o);
  }
  remU(o: Arg): Expr {
    return this.#bin('rem_u', o);
  }
  and(o: Arg): Expr {
    return this.#bin('and', o);
  }
  or(o: Arg): Expr {
    return this.#bin('or', o);
  }
  xor(o: Arg): Expr {
    return this.#bin('xor', o);
  }
  shl(o: Arg): Expr {
    return this.#bin('shl', o);
  }
  shr(o: Arg): Expr {
    return this.#bin('shr_u', o);
  }
  rotl(o: Arg): Expr {
    return this.#bin('rotl', o);
  }
  sar(o: Arg): Expr {
    return this.#bin('shr_s', o);
  }
  eq(o: Arg): Expr {
    return this.#bin('eq', o, 'i32');
  }
  ne(o: Arg): Expr {
    return this.#bin('ne', o, 'i32');
  }
  ltU(o: Arg): Expr {
    return this.#bin('lt_u', o, 'i32');
  }
  leU(o: Arg): Expr {
    return this.#bin('le_u', o, 'i32');
  }
  gtU(o: Arg): Expr {
    return this.#bin('gt_u', o, 'i32');
  }
  geU(o: Arg): Expr {
    return this.#bin('ge_u', o, 'i32');
  }
  ltS(o: Arg): Expr {
    return this.#bin('lt_s', o, 'i32');
  }
  leS(o: Arg): Expr {
    return this.#bin('le_s', o, 'i32');
  }
  gtS(o: Arg): Expr {
    return this.#bin('gt_s', o, 'i32');
  }
  geS(o: Arg): Expr {
    return this.#bin('ge_s', o, 'i32');
  }
  /** Floating-point order. */
  lt(o: Arg): Expr {
    return this.#bin('lt', o, 'i32');
  }
  le(o: Arg): Expr {
    return this.#bin('le', o, 'i32');
  }
  gt(o: Arg): Expr {
    return this.#bin('gt', o, 'i32');
  }
  ge(o: Arg): Expr {
    return this.#bin('ge', o, 'i32');
  }
  eqz(): Expr {
    return this.un(`${this.ty}_eqz`, 'i32');
  }
  /** Integer is not zero, as 0 or 1. */
  nz(): Expr {
    return this.ne(0);
  }
  /** Signed value is not negative. */
  ge0(): Expr {
    return this.geS(0);
  }
  clz(): Expr {
    return this.un(`${this.ty}_clz`);
  }
  ctz(): Expr {
    return this.un(`${this.ty}_ctz`);
  }
  not(): Expr {
    return this.xor(-1);
  }
  neg(): Expr {
    return lift(this.ty, 0).sub(this);
  }
  /** i64 -> i32, low half. */
  wrap(): Expr {
    return this.un('i32_wrap_i64', 'i32');
  }
  /** i32 -> i64, zero-extended. */
  extU(): Expr {
    return this.un('i64_extend_i32_u', 'i64');
  }
  /** i32 -> i64, sign-extended. */
  extS(): Expr {
    return this.un('i64_extend_i32_s', 'i64');
  }
}

/** A local variable; parameters are the first ones. */
export class Var extends Expr {
  readonly index: number;
  readonly #b: FunctionBuilder;
  constructor(ty: Ty, index: number, b: FunctionBuilder) {
    super(ty, (f) => void f.get(index));
    this.index = index;
    this.#b = b;
  }
  set(o: Arg): void {
    const v = lift(this.ty, o);
    if (v.ty !== this.ty) throw new TypeError(`set: ${this.ty} from ${v.ty}`);
    v.gen(this.#b);
    this.#b.set(this.index);
  }
}

/** A function of the module, callable from the ones defined after it. */
export interface FnRef {
  readonly index: number;
  readonly params: readonly Ty[];
  readonly results: readonly Ty[];
}

export const i32 = (v: number): Expr => new Expr('i32', (b) => void b.i32Const(v | 0));
/** A 64-bit constant written as its two halves. */
export const k64 = (hi: number, lo: number): Expr => new Expr('i64', (b) => void b.i64ConstParts(lo | 0, hi | 0));
export const i64 = (v: number): Expr =>
  new Expr('i64', (b) => void b.i64ConstParts(v | 0, Math.floor(v / 4294967296) | 0));
export const f64 = (v: number): Expr => new Expr('f64', (b) => void b.f64Const(v));
export const f32 = (v: number): Expr => new Expr('f32', (b) => void b.f32Const(v));
/** 2^63: the integer bit of an 80-bit significand. */
export const MSB = k64(0x80000000, 0);

/** `cond ? a : b` without a branch: both are evaluated. */
export function select(cond: Expr, a: Arg, b: Arg): Expr {
  const ty = a instanceof Expr ? a.ty : b instanceof Expr ? b.ty : 'i32';
  const x = lift(ty, a);
  const y = lift(ty, b);
  if (x.ty !== y.ty || cond.ty !== 'i32') throw new TypeError('select: types');
  return new Expr(ty, (f) => {
    x.gen(f);
    y.gen(f);
    cond.gen(f);
    f.select();
  });
}

const LOADS: { readonly [name: string]: readonly [ty: Ty, align: number] } = {
  i32_load: ['i32', 0],
  i32_load8_u: ['i32', 0],
  i32_load16_u: ['i32', 0],
  i32_load16_s: ['i32', 0],
  i64_load: ['i64', 0],
  i64_load32_s: ['i64', 0],
  i64_load32_u: ['i64', 0],
  i64_load16_u: ['i64', 0],
  i64_load8_u: ['i64', 0],
  f64_load: ['f64', 0],
  f32_load: ['f32', 0],
};

/** A memory read. Alignment hint 0: guest operands may be anywhere. */
export function load(name: string, addr: Expr, offset = 0): Expr {
  const row = LOADS[name];
  if (row === undefined) throw new TypeError(`no load ${name}`);
  const code = opcode(name);
  return new Expr(row[0], (b) => {
    addr.gen(b);
    b.load(code, row[1], offset);
  });
}

export class Fn {
  readonly b: FunctionBuilder;
  readonly params: readonly Var[];
  constructor(b: FunctionBuilder, params: readonly Ty[]) {
    this.b = b;
    this.params = params.map((ty, i) => new Var(ty, i, b));
  }
  #local(ty: Ty, init: Arg | undefined): Var {
    const v = new Var(ty, this.b.addLocal(VAL[ty]), this.b);
    if (init !== undefined) v.set(init);
    return v;
  }
  i32(init?: Arg): Var {
    return this.#local('i32', init);
  }
  i64(init?: Arg): Var {
    return this.#local('i64', init);
  }
  f64(init?: Arg): Var {
    return this.#local('f64', init);
  }
  f32(init?: Arg): Var {
    return this.#local('f32', init);
  }
  v128(init?: Expr): Var {
    return this.#local('v128', init);
  }

  if(cond: Expr, then: () => void, otherwise?: () => void): void {
    cond.gen(this.b);
    this.b.if_();
    then();
    if (otherwise !== undefined) {
      this.b.else_();
      otherwise();
    }
    this.b.end();
  }
  /** `while (cond) body`; `body` may leave the loop through the function it is given. */
  while(cond: Expr, body: (leave: () => void) => void): void {
    const out = this.b.block();
    const top = this.b.loop();
    cond.eqz().gen(this.b);
    this.b.brIf(out);
    body(() => void this.b.br(out));
    this.b.br(top);
    this.b.end();
    this.b.end();
  }
  /** Runs `body`, which may leave early through the function it is given. */
  block(body: (leave: () => void) => void): void {
    const out = this.b.block();
    body(() => void this.b.br(out));
    this.b.end();
  }
  ret(...values: readonly Expr[]): void {
    for (const v of values) v.gen(this.b);
    this.b.return_();
  }
  store(name: string, addr: Expr, value: Arg, offset = 0): void {
    addr.gen(this.b);
    lift(name.slice(0, 3) as Ty, value).gen(this.b);
    this.b.store(opcode(name), 0, offset);
  }
  /** A call with several results, assigned in order. */
  callInto(f: FnRef, args: readonly Arg[], into: readonly Var[]): void {
    if (into.length !== f.results.length) throw new TypeError('callInto: result count');
    genCall(this.b, f, args);
    for (let i = into.length - 1; i >= 0; i--) this.b.set(into[i]!.index);
  }
}

/** A call with one result, as an expression. */
export function call(f: FnRef, ...args: readonly Arg[]): Expr {
  if (f.results.length !== 1) throw new TypeError('call: one result expected');
  return new Expr(f.results[0]!, (b) => genCall(b, f, args));
}

function genCall(b: FunctionBuilder, f: FnRef, args: readonly Arg[]): void {
  if (args.length !== f.params.length) throw new TypeError(`call: ${args.length} arguments for ${f.params.length}`);
  args.forEach((a, i) => {
    const v = lift(f.params[i]!, a);
    if (v.ty !== f.params[i]) throw new TypeError(`call: argument ${i} is ${v.ty}`);
    v.gen(b);
  });
  b.call(f.index);
}

/** The module under construction: memory import, internal functions, exports. */
export class Lib {
  readonly module = new ModuleBuilder();
  readonly exported: string[] = [];
  constructor(minPages: number, maxPages?: number, shared?: boolean) {
    this.module.importMemory('env', 'memory', minPages, maxPages, shared);
  }
  /** Defines a function; its body must return on every path or fall off with nothing owed (`unreachable` is added). */
  fn(name: string, params: readonly Ty[], results: readonly Ty[], body: (f: Fn, ...p: Var[]) => void): FnRef {
    const b = this.module.addFunction(
      this.module.addType(
        params.map((t) => VAL[t]),
        results.map((t) => VAL[t]),
      ),
    );
    const f = new Fn(b, params);
    body(f, ...f.params);
    b.unreachable();
    this.module.setFunctionName(b.index, name);
    return { index: b.index, params, results };
  }
  /** An exported function of the calling convention (i32 x n) -> i32. */
  export(name: string, arity: number, body: (f: Fn, ...p: Var[]) => void): FnRef {
    const ref = this.fn(name, new Array<Ty>(arity).fill('i32'), ['i32'], body);
    this.module.exportFunction(name, ref.index);
    this.exported.push(name);
    return ref;
  }
}

function opcode(name: string): number {
  const code = (OP as Readonly<Record<string, number>>)[name];
  if (code === undefined) throw new TypeError(`no opcode ${name}`);
  return code;
}

export function lift(ty: Ty, v: Arg): Expr {
  if (v instanceof Expr) return v;
  switch (ty) {
    case 'i32':
      return i32(v);
    case 'i64':
      return i64(v);
    case 'f32':
      return f32(v);
    case 'f64':
      return f64(v);
    case 'v128':
      throw new TypeError('a number is no vector');
  }
}
