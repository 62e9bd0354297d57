/**
 * A CPU for this package's own tests: blocks are translated and the IR is evaluated op by op in script, over flat pages
 * of memory. Slow, no FPU or vector ops (ir-eval.ts), and independent of the WebAssembly tiers: a third opinion on the translator.
 * Every block is checked by the IR verifier before it runs.
 */
import {
  chooseOptimisations,
  createTranslateResult,
  IrBuilder,
  MEM_RMW,
  MEM_STACK,
  MEM_SUPERVISOR,
  OPS,
  print,
  verify,
} from '@emkit/ir';
import type { GlobalDef, IrBlock } from '@emkit/ir';
import {
  ALL_FEATURES,
  BlockTranslator,
  CPU_FAULT,
  ENV,
  EXC,
  GLOBALS_32,
  GLOBALS_64,
  HELPER_NAMES,
  HF_CPL,
  HF_CS64,
  X86Cpu,
  bindHelpers,
} from '../src/index.ts';
import type { TranslateRequest } from '@emkit/ir';
import type { CpuFeatures, CpuModel, Helper, X86Host } from '../src/index.ts';
import { EVAL } from './ir-eval.ts';

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

const BAILED = new Error('bail');

export interface MachineStop {
  /** Vector of the exception that ended the run; -1: HLT; -2: budget. */
  readonly vector: number;
  readonly error: number;
}

export class IrMachine implements X86Host {
  readonly memory: ArrayBuffer;
  readonly envBase = 0;
  readonly cpu: X86Cpu;
  readonly view: DataView;
  readonly u8: Uint8Array;
  /** Linear page number -> host offset. */
  readonly pages = new Map<number, number>();
  /** Pages that user accesses fault in. */
  readonly supervisorPages = new Set<number>();
  /** The accelerator has pending work. */
  work = false;
  /** Hot forms that have given up. */
  bails = 0;
  /** Blocks and their text are kept here when set, for a failing test's message. */
  lastBlock = '';
  keepText = false;
  /** Exceptions are delivered through the guest's IVT or IDT; false: they end the run. */
  deliver = false;
  /** Longest block: 1 makes every instruction find CC_OP not known. */
  maxInsns = 64;
  /** Translate for the hot tier. */
  hot = false;
  optimisations = chooseOptimisations();
  readonly values: (number | bigint)[] = [];
  #next = ENV_BYTES;
  #halted = false;
  #stop: MachineStop | undefined;
  #insnEip = 0;
  #left = false;
  readonly #helpers: Helper[];
  readonly #builder32 = new IrBuilder(GLOBALS_32);
  readonly #builder64 = new IrBuilder(GLOBALS_64);
  globals: readonly GlobalDef[] = GLOBALS_32;
  readonly #translator: BlockTranslator;
  readonly #result = createTranslateResult();

  /** `features`: what code is translated for; helpers have everything. */
  constructor(pages: number, features: CpuFeatures = ALL_FEATURES) {
    this.#translator = new BlockTranslator(features);
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

  /** Number of the page of a linear address: the address divided, which may be negative. */
  #page(linear: number): number {
    return Math.floor(linear / PAGE);
  }
  map(linear: number): void {
    if (!this.pages.has(this.#page(linear))) {
      this.pages.set(this.#page(linear), this.#next);
      this.#next += PAGE;
    }
  }
  /** Host offset of a mapped linear address. */
  host(linear: number): number {
    const page = this.pages.get(this.#page(linear));
    if (page === undefined) throw new Error(`test touches unmapped ${linear.toString(16)}`);
    return page + (linear & (PAGE - 1));
  }

  // --- X86Host ----------------------------------------------------------------------------------------------------
  currentEip(): number {
    return this.#insnEip;
  }
  #at(lin: number, write: boolean, user: number): number {
    const page = this.pages.get(this.#page(lin));
    if (page === undefined || (user !== 0 && this.supervisorPages.has(this.#page(lin))))
      this.cpu.pageFault(lin, (write ? 2 : 0) | (user !== 0 ? 4 : 0));
    return page + (lin & (PAGE - 1));
  }
  /** Linear addresses wrap at 4 GiB outside 64-bit code. */
  #wrap(lin: number): number {
    return this.globals === GLOBALS_64 ? lin : lin >>> 0;
  }
  #read(lin: number, n: number, user: number): number {
    let v = 0;
    for (let k = 0; k < n; k++) v += this.u8[this.#at(this.#wrap(lin + k), false, user)] * 2 ** (8 * k);
    return v;
  }
  #write(lin: number, n: number, v: number, user: number): void {
    for (let k = 0; k < n; k++) this.#at(this.#wrap(lin + k), true, user);
    for (let k = 0; k < n; k++) this.u8[this.#at(this.#wrap(lin + k), true, user)] = v >>> (8 * k);
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
    return this.#at(this.#wrap(lin), access === 1, user);
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

  /** `exact`: the one instruction there in cold form. */
  #runBlock(exact = false): void {
    const { cpu } = this;
    const is64 = (cpu.hflags & HF_CS64) !== 0;
    const b = is64 ? this.#builder64 : this.#builder32;
    this.globals = b.globals;
    const csBase = cpu.env32(ENV.CS_BASE);
    const eip = cpu.eip;
    const lin = is64 ? cpu.rip : (csBase + eip) >>> 0;
    this.#insnEip = eip;
    const number = this.#page(lin);
    const page = this.pages.get(number);
    const user = (cpu.hflags & HF_CPL) === 3 ? 1 : 0;
    const request: TranslateRequest = {
      eip,
      csBase,
      flags: cpu.hflags,
      maxInsns: exact ? 1 : this.maxInsns,
      endEip: -1,
      hot: this.hot && !exact,
      optimisations: this.optimisations,
      entryCcOp: -1,
      volatileCode: false,
      movable: false,
      code: {
        u8: this.u8,
        offset: page === undefined ? 0 : page + (lin & (PAGE - 1)),
        available: page === undefined ? 0 : PAGE - (lin & (PAGE - 1)),
        nextPage: () => this.pages.get(is64 ? number + 1 : (number + 1) & 0xfffff) ?? -1,
      },
    };
    b.reset();
    if (page !== undefined) this.#translator.translate(b, request, this.#result);
    if (page === undefined || this.#result.fault) {
      try {
        cpu.pageFault(page === undefined ? lin : (number + 1) * PAGE, user << 2);
      } catch (e) {
        if (e !== CPU_FAULT) throw e;
      }
      this.#fault();
      return;
    }
    const block = b.finish();
    const problems = verify(block, this.globals, { cold: !request.hot });
    if (this.keepText) this.lastBlock = print(block, this.globals);
    if (problems.length > 0) throw new Error(`${problems.join('\n')}\n${print(block, this.globals)}`);
    try {
      this.#execute(block);
    } catch (e) {
      // what a hot form may not do is the cold one's, a fault too
      if (e === BAILED || (e === CPU_FAULT && this.hot && !exact)) {
        cpu.eip = this.#insnEip >>> 0;
        this.#runBlock(true);
        return;
      }
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
  /** `flags`: MEM_* of the access. */
  loadBytes(lin: number, n: number, flags: number): number {
    const user = (flags & MEM_SUPERVISOR) !== 0 ? 0 : this.user;
    if ((flags & MEM_RMW) !== 0) for (let k = 0; k < n; k++) this.#at(this.#wrap(lin + k), true, user);
    for (let k = 0; k < n; k++) this.#at(this.#wrap(lin + k), false, user);
    let v = 0;
    for (let k = 0; k < n; k++) v |= this.u8[this.#at(this.#wrap(lin + k), false, user)] << (8 * k);
    return v;
  }
  storeBytes(lin: number, n: number, v: number, flags: number): void {
    this.#write(lin, n, v, (flags & MEM_SUPERVISOR) !== 0 ? 0 : this.user);
  }
  /** A hot form gives up: the cold form of the instruction runs. */
  bail(): void {
    this.bails++;
    throw BAILED;
  }
  /** Linear number of a 64-bit address; `flags`: MEM_* of the access. */
  canonical(address: bigint, flags: number): number {
    if (BigInt.asIntN(48, address) !== address) this.cpu.raise((flags & MEM_STACK) !== 0 ? EXC.SS : EXC.GP, 0);
    return Number(address);
  }
  i(block: IrBlock, i: number, n: number): number {
    return this.values[block.operand(i, n)] as number;
  }
  l(block: IrBlock, i: number, n: number): bigint {
    return this.values[block.operand(i, n)] as bigint;
  }
}
