/**
 * Runs a few FPU or SIMD instructions at CPL 3 on the real tiers, as 32-bit or as 64-bit code: code and data pages are mapped,
 * state goes in and comes out through env. The code is followed by INT3, so a normal run stops with vector 3.
 */
import { CpuBench, LongBench } from '@emkit/cpu-testbed';
import type { StopInfo } from '@emkit/cpu-testbed';
import type { X86Cpu } from '../src/cpu.ts';
import { ENV, ESP, HF_TOP, HF_TOP_SHIFT, XMM_STRIDE } from '../src/state.ts';
import { withSseFast } from '../src/fpu/mxcsr.ts';
import { withX87Flags } from '../src/fpu/x87-bits.ts';

export const CODE = 0x10000000;
export const DATA = 0x20000000;
/** First byte after the mapped data pages: any access faults. */
export const DATA_END = DATA + 0x2000;
const STACK = 0x30000000;

export type Tier = 'cold' | 'hot';
export const TIERS: readonly Tier[] = ['cold', 'hot'];

export class FpuBench {
  readonly bench: CpuBench;
  readonly cpu: X86Cpu;
  readonly #pages = new Map<number, number>();
  readonly #tier: Tier;

  constructor(tier: Tier, cpu = 'max', long = false) {
    this.#tier = tier;
    this.bench = long ? new LongBench({ tier, cpu }) : new CpuBench({ tier, cpu });
    this.bench.protectedMode();
    for (const page of [CODE, DATA, DATA + 0x1000, STACK]) this.#pages.set(page, this.bench.map(page));
    this.cpu = this.bench.cpu;
    this.reset();
  }
  /** Clean user state: FNINIT values, MXCSR 1F80, registers zero. */
  reset(): void {
    this.bench.enterUser();
    this.words(0x37f, 0, 0x1f80);
    this.cpu.e8.fill(1, ENV.FPTAGS, ENV.FPTAGS + 8);
    for (let n = 0; n < 16; n++) this.cpu.setReg(n, 0);
    this.cpu.setReg(ESP, STACK + 0x800);
  }
  /** FCW, FSW (with TOP) and MXCSR, and the block flags that follow from them. */
  words(fcw: number, fsw: number, mxcsr: number): void {
    const { cpu } = this;
    cpu.setEnv32(ENV.FPUC, fcw);
    cpu.setEnv32(ENV.FPUS, fsw & ~0x3800);
    cpu.setEnv32(ENV.MXCSR, mxcsr);
    cpu.hflags = withSseFast(
      withX87Flags((cpu.hflags & ~HF_TOP) | (((fsw >> 11) & 7) << HF_TOP_SHIFT), fsw, fcw),
      mxcsr,
    );
    cpu.updateHflags();
  }
  #host(linear: number): number {
    const page = this.#pages.get((linear & ~0xfff) >>> 0);
    if (page === undefined) throw new Error(`not mapped: ${linear.toString(16)}`);
    return page + (linear & 0xfff);
  }
  poke(linear: number, bytes: ArrayLike<number>): void {
    for (let n = 0; n < bytes.length; n++) this.bench.poke(this.#host(linear + n), [bytes[n]!]);
  }
  peek(linear: number, count: number): number[] {
    return Array.from({ length: count }, (_, n) => this.bench.ram[this.#host(linear + n)]!);
  }
  peek32(linear: number): number {
    const b = this.peek(linear, 4);
    return (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) >>> 0;
  }
  /** Run `code` (hex) from the current state; the data pages are in the TLB, as after an earlier access. */
  run(code: string): StopInfo {
    const { bench, cpu } = this;
    const bytes = [...(code.replaceAll(' ', '').match(/../g) ?? []).map((h) => parseInt(h, 16)), 0xcc];
    this.poke(CODE, bytes);
    cpu.eip = CODE;
    for (const page of [DATA, DATA + 0x1000]) cpu.host.write8(page, cpu.host.read8(page, 1), 1);
    if (this.#tier === 'hot') bench.compile();
    for (let n = 0; n < 20; n++) {
      const stop = bench.runToStop(1000);
      if (stop !== null) {
        this.#returnToUser(stop);
        return stop;
      }
    }
    throw new Error(`no stop: ${code}`);
  }

  /** The handler ran at CPL 0 and halted: clean user state again, general and FPU registers and CR2 kept. */
  #returnToUser(stop: StopInfo): void {
    const { cpu } = this;
    const fpu = cpu.e8.slice(ENV.FPREGS, ENV.SIZE);
    const registers = cpu.e8.slice(ENV.GPR, ENV.GPR + 128);
    const fsw = this.fsw;
    const cr2 = cpu.cr(2);
    this.bench.enterUser();
    cpu.setCrRaw(2, cr2);
    cpu.e8.set(fpu, ENV.FPREGS);
    cpu.e8.set(registers, ENV.GPR);
    cpu.setReg64(ESP, stop.esp, stop.espHigh);
    this.words(this.fcw, fsw, this.mxcsr);
  }

  // --- state ------------------------------------------------------------------------------------------------------
  get top(): number {
    return (this.cpu.hflags & HF_TOP) >>> HF_TOP_SHIFT;
  }
  get fsw(): number {
    return this.cpu.env32(ENV.FPUS) | (this.top << 11);
  }
  get fcw(): number {
    return this.cpu.env32(ENV.FPUC);
  }
  get mxcsr(): number {
    return this.cpu.env32(ENV.MXCSR);
  }
  /** Abridged tags: bit i set, physical register i in use. */
  get tags(): number {
    let v = 0;
    for (let n = 0; n < 8; n++) if (this.cpu.e8[ENV.FPTAGS + n] === 0) v |= 1 << n;
    return v;
  }
  #slot(i: number): number {
    return ENV.FPREGS + 16 * ((this.top + i) & 7);
  }
  /** ST(i) as 20 hex digits, most significant first. */
  st(i: number): string {
    const at = this.#slot(i);
    return Array.from({ length: 10 }, (_, n) => this.cpu.e8[at + 9 - n]!.toString(16).padStart(2, '0')).join('');
  }
  setSt(i: number, hex: string): void {
    const at = this.#slot(i);
    for (let n = 0; n < 10; n++) this.cpu.e8[at + 9 - n] = parseInt(hex.slice(2 * n, 2 * n + 2), 16);
    this.cpu.e8[ENV.FPTAGS + ((this.top + i) & 7)] = 0;
  }
  /** XMM register as 32 hex digits, most significant first. */
  xmm(n: number): string {
    const at = ENV.XMM + XMM_STRIDE * n;
    return Array.from({ length: 16 }, (_, k) => this.cpu.e8[at + 15 - k]!.toString(16).padStart(2, '0')).join('');
  }
  setXmm(n: number, hex: string): void {
    const at = ENV.XMM + XMM_STRIDE * n;
    for (let k = 0; k < 16; k++) this.cpu.e8[at + 15 - k] = parseInt(hex.slice(2 * k, 2 * k + 2), 16);
  }
}
