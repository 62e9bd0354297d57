/**
 * A CPU for this package's own tests: blocks are translated and the IR is evaluated op by op in script, over flat pages
 * of memory. Slow, no FPU or vector ops, and independent of the WebAssembly tiers: a third opinion on the translator.
 * Every block is checked by the IR verifier before it runs.
 */
import { IrBuilder, OPS, opId, print, verify } from '@emkit/ir';
import type { IrBlock } from '@emkit/ir';
import {
  ALL_FEATURES,
  BlockTranslator,
  CPU_FAULT,
  ENV,
  EXC,
  GLOBALS_32,
  HELPER_NAMES,
  HF_CPL,
  X86Cpu,
  bindHelpers,
} from '../src/index.ts';
import type { TranslateRequest, TranslateResult } from '@emkit/ir';
import type { CpuModel, Helper, X86Host } from '../src/index.ts';

const PAGE = 4096;
/** Bytes of env before the pages. */
const ENV_BYTES = 0x10000;

/** Every feature that decodes, so that vectors of all extensions run. */
const TEST_MODEL: CpuModel = {
  name: 'test',
  description: 'everything',
  vendor: 'emkitemkit..',
  signature: 0x633,
  maxLeaf: 2,
  maxExtendedLeaf: 0,
  brand: '',
  features: ALL_FEATURES,
  leaf2: [1, 0, 0, 0],
  caches: [],
};

export interface MachineStop {
  /** Vector of the exception that ended the run; -1: HLT; -2: budget. */
  readonly vector: number;
  readonly error: number;
}

type Op = (m: IrMachine, block: IrBlock, i: number) => void;

export class IrMachine implements X86Host {
  readonly memory: ArrayBuffer;
  readonly envBase = 0;
  readonly cpu: X86Cpu;
  readonly view: DataView;
  readonly u8: Uint8Array;
  /** Linear page number -> host offset. */
  readonly pages = new Map<number, number>();
  /** Blocks and their text are kept here when set, for a failing test's message. */
  lastBlock = '';
  keepText = false;
  /** Exceptions are delivered through the guest's IVT or IDT; false: they end the run. */
  deliver = false;
  /** Longest block: 1 makes every instruction find CC_OP not known. */
  maxInsns = 64;
  /** Translate for the hot tier. */
  hot = false;
  readonly values: (number | bigint)[] = [];
  #next = ENV_BYTES;
  #halted = false;
  #stop: MachineStop | undefined;
  #insnEip = 0;
  #left = false;
  readonly #helpers: Helper[];
  readonly #builder = new IrBuilder(GLOBALS_32);
  readonly #translator = new BlockTranslator(ALL_FEATURES);
  readonly #result: TranslateResult = {
    bytes: 0,
    insns: 0,
    exitFlags: 0,
    exitCcOp: 0,
    callReturn: 0,
    volatileOffsets: [],
    fault: false,
  };

  constructor(pages: number) {
    this.memory = new ArrayBuffer(ENV_BYTES + pages * PAGE);
    this.view = new DataView(this.memory);
    this.u8 = new Uint8Array(this.memory);
    this.cpu = new X86Cpu(this, TEST_MODEL);
    this.#helpers = bindHelpers(this.cpu);
    for (const [name, kind] of [
      ['soft_int', 0],
      ['into', 1],
    ] as const) {
      const at = HELPER_NAMES.indexOf(name);
      const real = this.#helpers[at];
      this.#helpers[at] = (a, b, c, d) => {
        if (this.deliver) return real(a, b, c, d);
        const next = kind === 0 ? b : b;
        this.cpu.eip = next >>> 0;
        if (kind === 1 && a === 0) return 0;
        this.#stop = { vector: kind === 1 ? EXC.OF : a, error: -1 };
        return 0;
      };
    }
  }

  map(linear: number): void {
    if (!this.pages.has(linear >>> 12)) {
      this.pages.set(linear >>> 12, this.#next);
      this.#next += PAGE;
    }
  }
  /** Host offset of a mapped linear address. */
  host(linear: number): number {
    const page = this.pages.get(linear >>> 12);
    if (page === undefined) throw new Error(`test touches unmapped ${linear.toString(16)}`);
    return page + (linear & (PAGE - 1));
  }

  // --- X86Host ----------------------------------------------------------------------------------------------------
  currentEip(): number {
    return this.#insnEip;
  }
  #at(lin: number, write: boolean, user: number): number {
    const page = this.pages.get(lin >>> 12);
    if (page === undefined) this.cpu.pageFault(lin >>> 0, (write ? 2 : 0) | (user !== 0 ? 4 : 0));
    return page + (lin & (PAGE - 1));
  }
  #read(lin: number, n: number, user: number): number {
    let v = 0;
    for (let k = 0; k < n; k++) v += this.u8[this.#at((lin + k) >>> 0, false, user)] * 2 ** (8 * k);
    return v;
  }
  #write(lin: number, n: number, v: number, user: number): void {
    for (let k = 0; k < n; k++) this.#at((lin + k) >>> 0, true, user);
    for (let k = 0; k < n; k++) this.u8[this.#at((lin + k) >>> 0, true, user)] = v >>> (8 * k);
  }
  read8(lin: number, user: number): number {
    return this.#read(lin, 1, user);
  }
  read16(lin: number, user: number): number {
    return this.#read(lin, 2, user);
  }
  read32(lin: number, user: number): number {
    return this.#read(lin, 4, user);
  }
  write8(lin: number, v: number, user: number): void {
    this.#write(lin, 1, v, user);
  }
  write16(lin: number, v: number, user: number): void {
    this.#write(lin, 2, v, user);
  }
  write32(lin: number, v: number, user: number): void {
    this.#write(lin, 4, v, user);
  }
  pointer(lin: number, access: number, user: number): number {
    return this.#at(lin >>> 0, access === 1, user);
  }
  physRead8(): number {
    return 0xff;
  }
  physRead16(): number {
    return 0xffff;
  }
  physRead32(): number {
    return 0xffffffff;
  }
  physWrite8(): void {
    /* no physical memory */
  }
  physWrite16(): void {
    /* no physical memory */
  }
  physWrite32(): void {
    /* no physical memory */
  }
  flushTlb(): void {
    /* no TLB */
  }
  flushTlbPage(): void {
    /* no TLB */
  }
  portIn(_port: number, size: 1 | 2 | 4): number {
    return size === 4 ? 0xffffffff : 2 ** (8 * size) - 1;
  }
  portOut(): void {
    /* nobody listens */
  }
  tsc(): number {
    return 0;
  }
  halt(): void {
    this.#halted = true;
  }
  shutdown(reason: string): void {
    throw new Error(`shutdown: ${reason}`);
  }
  acknowledgeInterrupt(): number {
    return 0xff;
  }

  // --- running ----------------------------------------------------------------------------------------------------
  /** Run until HLT, an undelivered exception, or `budget` blocks. */
  run(budget: number): MachineStop {
    this.#halted = false;
    this.#stop = undefined;
    for (let n = 0; n < budget; n++) {
      this.#runBlock();
      if (this.#stop !== undefined) return this.#stop;
      if (this.#halted) {
        this.cpu.halted = false;
        return { vector: -1, error: -1 };
      }
    }
    return { vector: -2, error: -1 };
  }

  #fault(): void {
    const { cpu } = this;
    cpu.eip = this.#insnEip >>> 0;
    if (this.deliver) cpu.deliver();
    else this.#stop = { vector: cpu.env32(ENV.EXCEPTION_VECTOR), error: cpu.ei32[ENV.EXCEPTION_ERROR >> 2] };
  }

  #runBlock(): void {
    const { cpu } = this;
    const b = this.#builder;
    const csBase = cpu.env32(ENV.CS_BASE);
    const eip = cpu.eip;
    const lin = (csBase + eip) >>> 0;
    this.#insnEip = eip;
    const page = this.pages.get(lin >>> 12);
    const user = (cpu.hflags & HF_CPL) === 3 ? 1 : 0;
    const request: TranslateRequest = {
      eip,
      csBase,
      flags: cpu.hflags,
      maxInsns: this.maxInsns,
      endEip: -1,
      hot: this.hot,
      entryCcOp: -1,
      volatileCode: false,
      code: {
        u8: this.u8,
        offset: page === undefined ? 0 : page + (lin & (PAGE - 1)),
        available: page === undefined ? 0 : PAGE - (lin & (PAGE - 1)),
        nextPage: () => this.pages.get(((lin >>> 12) + 1) & 0xfffff) ?? -1,
      },
    };
    b.reset();
    if (page !== undefined) this.#translator.translate(b, request, this.#result);
    if (page === undefined || this.#result.fault) {
      try {
        cpu.pageFault(page === undefined ? lin : ((lin >>> 12) + 1) * PAGE, user << 2);
      } catch (e) {
        if (e !== CPU_FAULT) throw e;
      }
      this.#fault();
      return;
    }
    const block = b.finish();
    const problems = verify(block, GLOBALS_32);
    if (this.keepText) this.lastBlock = print(block, GLOBALS_32);
    if (problems.length > 0) throw new Error(`${problems.join('\n')}\n${print(block, GLOBALS_32)}`);
    try {
      this.#execute(block);
    } catch (e) {
      if (e !== CPU_FAULT) throw e;
      this.#fault();
    }
  }

  #execute(block: IrBlock): void {
    this.#left = false;
    for (let i = 0; i < block.count && !this.#left && this.#stop === undefined; i++) {
      const op = EVAL[block.op[i]];
      if (op === undefined) throw new Error(`test machine has no ${OPS[block.op[i]].name}`);
      op(this, block, i);
    }
  }
  leave(eip: number): void {
    this.cpu.eip = eip >>> 0;
    this.#left = true;
  }
  insn(eip: number): void {
    this.#insnEip = eip >>> 0;
  }
  exit(): void {
    this.#left = true;
  }
  helper(n: number, a: number, b: number, c: number, d: number): number {
    return this.#helpers[n](a, b, c, d) | 0;
  }
  get user(): number {
    return this.cpu.user;
  }
  loadBytes(lin: number, n: number, rmw: boolean): number {
    if (rmw) for (let k = 0; k < n; k++) this.#at((lin + k) >>> 0, true, this.user);
    for (let k = 0; k < n; k++) this.#at((lin + k) >>> 0, false, this.user);
    let v = 0;
    for (let k = 0; k < n; k++) v |= this.u8[this.#at((lin + k) >>> 0, false, this.user)] << (8 * k);
    return v;
  }
  storeBytes(lin: number, n: number, v: number): void {
    this.#write(lin >>> 0, n, v, this.user);
  }
  i(block: IrBlock, i: number, n: number): number {
    return this.values[block.operand(i, n)] as number;
  }
  l(block: IrBlock, i: number, n: number): bigint {
    return this.values[block.operand(i, n)] as bigint;
  }
}

// --- the ops ------------------------------------------------------------------------------------------------------
const EVAL: Op[] = [];
const def = (name: string, op: Op): void => {
  EVAL[opId(name)] = op;
};
const bool = (v: boolean): number => (v ? 1 : 0);
type Binary = (a: number, b: number) => number;
const I32_BINARY: Readonly<Record<string, Binary>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: Math.imul,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr_s: (a, b) => a >> b,
  shr_u: (a, b) => a >>> b,
  rotl: (a, b) => (a << b) | ((a >>> 1) >>> (31 - (b & 31))),
  rotr: (a, b) => (a >>> b) | ((a << 1) << (31 - (b & 31))),
  div_s: (a, b) => {
    if (b === 0 || (b === -1 && a === -0x80000000)) throw new Error('wasm trap: div_s');
    return a / b;
  },
  div_u: (a, b) => {
    if (b === 0) throw new Error('wasm trap: div_u');
    return (a >>> 0) / (b >>> 0);
  },
  rem_s: (a, b) => {
    if (b === 0) throw new Error('wasm trap: rem_s');
    return a % b;
  },
  rem_u: (a, b) => {
    if (b === 0) throw new Error('wasm trap: rem_u');
    return (a >>> 0) % (b >>> 0);
  },
  eq: (a, b) => bool(a === b),
  ne: (a, b) => bool(a !== b),
  lt_s: (a, b) => bool(a < b),
  gt_s: (a, b) => bool(a > b),
  le_s: (a, b) => bool(a <= b),
  ge_s: (a, b) => bool(a >= b),
  lt_u: (a, b) => bool(a >>> 0 < b >>> 0),
  gt_u: (a, b) => bool(a >>> 0 > b >>> 0),
  le_u: (a, b) => bool(a >>> 0 <= b >>> 0),
  ge_u: (a, b) => bool(a >>> 0 >= b >>> 0),
};
for (const [name, f] of Object.entries(I32_BINARY))
  def(`i32_${name}`, (m, k, i) => {
    m.values[i] = Math.trunc(f(m.i(k, i, 0), m.i(k, i, 1))) | 0;
  });
const I32_UNARY: Readonly<Record<string, (a: number) => number>> = {
  eqz: (a) => bool(a === 0),
  clz: (a) => Math.clz32(a),
  ctz: (a) => (a === 0 ? 32 : 31 - Math.clz32(a & -a)),
  popcnt: (a) => {
    let n = 0;
    for (let v = a; v !== 0; v &= v - 1) n++;
    return n;
  },
  extend8_s: (a) => (a << 24) >> 24,
  extend16_s: (a) => (a << 16) >> 16,
  bswap: (a) => ((a & 0xff) << 24) | ((a & 0xff00) << 8) | ((a >>> 8) & 0xff00) | (a >>> 24),
};
for (const [name, f] of Object.entries(I32_UNARY))
  def(`i32_${name}`, (m, k, i) => {
    m.values[i] = f(m.i(k, i, 0)) | 0;
  });
const s64 = (v: bigint): bigint => BigInt.asIntN(64, v);
const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);
const I64_BINARY: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << (b & 63n),
  shr_u: (a, b) => u64(a) >> (b & 63n),
  shr_s: (a, b) => a >> (b & 63n),
  div_u: (a, b) => u64(a) / u64(b),
  rem_u: (a, b) => u64(a) % u64(b),
  rem_s: (a, b) => a % b,
  div_s: (a, b) => {
    if (b === -1n && a === -(1n << 63n)) throw new Error('wasm trap: i64.div_s');
    return a / b;
  },
};
for (const [name, f] of Object.entries(I64_BINARY))
  def(`i64_${name}`, (m, k, i) => {
    m.values[i] = s64(f(m.l(k, i, 0), m.l(k, i, 1)));
  });
def('i64_eq', (m, k, i) => {
  m.values[i] = bool(m.l(k, i, 0) === m.l(k, i, 1));
});
def('i64_ne', (m, k, i) => {
  m.values[i] = bool(m.l(k, i, 0) !== m.l(k, i, 1));
});
def('i64_eqz', (m, k, i) => {
  m.values[i] = bool(m.l(k, i, 0) === 0n);
});
def('i32_wrap_i64', (m, k, i) => {
  m.values[i] = Number(BigInt.asIntN(32, m.l(k, i, 0)));
});
def('i64_extend_i32_s', (m, k, i) => {
  m.values[i] = BigInt(m.i(k, i, 0));
});
def('i64_extend_i32_u', (m, k, i) => {
  m.values[i] = BigInt(m.i(k, i, 0) >>> 0);
});
for (const t of ['i32', 'i64'])
  def(`${t}_select`, (m, k, i) => {
    m.values[i] = m.values[m.i(k, i, 2) !== 0 ? k.a[i] : k.b[i]];
  });
def('i32_const', (m, k, i) => {
  m.values[i] = k.imm[i];
});
def('i64_const', (m, k, i) => {
  m.values[i] = s64((BigInt(k.imm2[i]) << 32n) | BigInt(k.imm[i] >>> 0));
});
def('get_i32', (m, k, i) => {
  m.values[i] = m.view.getInt32(GLOBALS_32[k.imm[i]].offset, true);
});
def('set_i32', (m, k, i) => m.view.setInt32(GLOBALS_32[k.imm[i]].offset, m.i(k, i, 0), true));
def('envld_i32', (m, k, i) => {
  m.values[i] = m.view.getInt32(k.imm[i], true);
});
def('envld_8u', (m, k, i) => {
  m.values[i] = m.view.getUint8(k.imm[i]);
});
def('envld_16u', (m, k, i) => {
  m.values[i] = m.view.getUint16(k.imm[i], true);
});
def('envst_i32', (m, k, i) => m.view.setInt32(k.imm[i], m.i(k, i, 0), true));
def('envst_16', (m, k, i) => m.view.setInt16(k.imm[i], m.i(k, i, 0), true));
for (const [name, n, sign] of [
  ['ld8u', 1, 0],
  ['ld8s', 1, 24],
  ['ld16u', 2, 0],
  ['ld16s', 2, 16],
  ['ld32', 4, 0],
] as const) {
  def(name, (m, k, i) => {
    m.values[i] = (m.loadBytes(m.i(k, i, 0) >>> 0, n, (k.imm[i] & 1) !== 0) << sign) >> sign;
  });
}
def('ld64', (m, k, i) => {
  const lin = m.i(k, i, 0) >>> 0;
  const low = m.loadBytes(lin, 4, (k.imm[i] & 1) !== 0);
  const high = m.loadBytes(lin + 4, 4, (k.imm[i] & 1) !== 0);
  m.values[i] = s64((BigInt(high) << 32n) | BigInt(low >>> 0));
});
for (const [name, n] of [
  ['st8', 1],
  ['st16', 2],
  ['st32', 4],
] as const)
  def(name, (m, k, i) => m.storeBytes(m.i(k, i, 0), n, m.i(k, i, 1)));
def('st64', (m, k, i) => {
  const lin = m.i(k, i, 0) >>> 0;
  const v = m.l(k, i, 1);
  m.storeBytes(lin, 4, Number(BigInt.asUintN(32, v)));
  m.storeBytes((lin + 4) >>> 0, 4, Number(BigInt.asUintN(32, v >> 32n)));
});
def('raise_if', (m, k, i) => {
  if (m.i(k, i, 0) !== 0) m.cpu.raise(k.imm[i], k.imm2[i]);
});
for (let n = 0; n <= 4; n++) {
  def(`callj${n}`, (m, k, i) => {
    const arg = (j: number): number => (j < n ? m.i(k, i, j) : 0);
    m.values[i] = m.helper(k.imm[i], arg(0), arg(1), arg(2), arg(3));
  });
}
def('nop', () => undefined);
def('insn_start', (m, k, i) => m.insn(k.imm[i]));
def('jmp', (m, k, i) => m.leave(k.imm[i]));
def('br', (m, k, i) => m.leave(m.i(k, i, 0) !== 0 ? k.imm[i] : k.imm2[i]));
def('jmp_ind', (m, k, i) => m.leave(m.i(k, i, 0)));
def('exit', (m) => m.exit());
