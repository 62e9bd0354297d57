/**
 * One translation block in IR form: a straight line of ops ended by one terminator, as parallel typed arrays that
 * grow by doubling and are reused from block to block. Op i defines value i.
 */

const INITIAL = 1024;

export class IrBlock {
  count = 0;
  op = new Uint16Array(INITIAL);
  /** Operands: value ids, -1 when absent; `c` of an `insn_start` is its ordinal. Only calls with more than three operands use `d`, `e`, `f`. */
  a = new Int32Array(INITIAL);
  b = new Int32Array(INITIAL);
  c = new Int32Array(INITIAL);
  d = new Int32Array(INITIAL);
  e = new Int32Array(INITIAL);
  f = new Int32Array(INITIAL);
  imm = new Int32Array(INITIAL);
  imm2 = new Int32Array(INITIAL);
  /** 16-byte constants of v128_const and i8x16_shuffle. */
  readonly vectors: Uint8Array[] = [];
  /** Guest instructions in the block. */
  insnCount = 0;

  clear(): void {
    this.count = 0;
    this.insnCount = 0;
    // setting a length is slow even where nothing changes
    if (this.vectors.length > 0) this.vectors.length = 0;
  }

  push(op: number, a: number, b: number, c: number, imm: number, imm2: number): number {
    const i = this.count;
    if (i === this.op.length) this.#grow();
    this.op[i] = op;
    this.a[i] = a;
    this.b[i] = b;
    this.c[i] = c;
    this.imm[i] = imm;
    this.imm2[i] = imm2;
    this.count = i + 1;
    return i;
  }

  /** Operand `n` (0-5) of op `i`. */
  operand(i: number, n: number): number {
    switch (n) {
      case 0:
        return this.a[i]!;
      case 1:
        return this.b[i]!;
      case 2:
        return this.c[i]!;
      case 3:
        return this.d[i]!;
      case 4:
        return this.e[i]!;
      default:
        return this.f[i]!;
    }
  }

  setOperand(i: number, n: number, v: number): void {
    switch (n) {
      case 0:
        this.a[i] = v;
        break;
      case 1:
        this.b[i] = v;
        break;
      case 2:
        this.c[i] = v;
        break;
      case 3:
        this.d[i] = v;
        break;
      case 4:
        this.e[i] = v;
        break;
      default:
        this.f[i] = v;
    }
  }

  #grow(): void {
    const n = this.op.length * 2;
    const wide = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const next = new Int32Array(n);
      next.set(old);
      return next;
    };
    const op = new Uint16Array(n);
    op.set(this.op);
    this.op = op;
    this.a = wide(this.a);
    this.b = wide(this.b);
    this.c = wide(this.c);
    this.d = wide(this.d);
    this.e = wide(this.e);
    this.f = wide(this.f);
    this.imm = wide(this.imm);
    this.imm2 = wide(this.imm2);
  }
}
