/**
 * A guest architecture of eight instructions, for testing the accelerator without x86: registers r0-r3, 4-byte
 * instructions [opcode, a, b, imm8].
 */
import { EXIT_ALWAYS, I32, JUMP_CALL, JUMP_RET } from '@emkit/ir';
import type { GlobalDef, IrBuilder } from '@emkit/ir';
import type { Target, TargetHost } from './target.ts';
import type { TranslateRequest, TranslateResult } from '@emkit/ir';

export const TOY = {
  HALT: 0,
  ADD: 1,
  MOVI: 2,
  LD: 3,
  ST: 4,
  JNZ: 5,
  JMP: 6,
  CALL: 7,
  RET: 8,
  SUB: 9,
  MUL: 10,
  LD8: 11,
  TRAP: 12,
  XOR: 13,
} as const;
const GLOBALS: readonly GlobalDef[] = [0, 1, 2, 3].map((n) => ({ name: `r${n}`, type: I32, offset: n * 8 }));

/** r3 is the link stack pointer: CALL pushes the return pc at [r3 -= 4]. */
export class ToyTarget implements Target {
  readonly name = 'toy';
  readonly longMask: number = 0;
  readonly windowMask: number = 0;
  readonly offsets = { pc: 0x40, flags: 0x48, csBase: 0x50 };
  readonly userMask = 3;
  readonly userValue = 3;
  readonly envSize = 0x100;
  readonly wasmHelpers: readonly string[] = [];
  readonly fault = new Error('toy fault');
  readonly watchpoints = [];
  halted = false;
  traps = 0;
  /** So many of the next traps fault, after which the instruction runs again. */
  trapFaults = 0;
  /** Unmapped pages fault; the handler maps them. */
  readonly unmapped = new Set<number>();
  faults: number[] = [];
  walkPhys = 0;
  walkProt = 7;
  walkGlobal = false;
  readonly #host: TargetHost;
  readonly #e32: Int32Array;

  constructor(host: TargetHost) {
    this.#host = host;
    this.#e32 = new Int32Array(host.memory, host.envBase, 64);
  }

  reg(n: number): number {
    return this.#e32[n * 2];
  }
  setReg(n: number, v: number): void {
    this.#e32[n * 2] = v;
  }

  translate(b: IrBuilder, r: TranslateRequest, out: TranslateResult): void {
    const { u8 } = r.code;
    let pc = r.eip;
    let at = r.code.offset;
    let left = r.code.available;
    out.fault = false;
    out.volatileOffsets = [];
    out.exitFlags = r.flags;
    out.exitCcOp = -1;
    out.quickFirst = false;
    out.quickNext = -1;
    out.callReturn = -1;
    out.insns = 0;
    while (!b.terminated) {
      if (out.insns === r.maxInsns || left < 4 || (pc === r.endEip && out.insns > 0)) {
        b.jmp(pc);
        break;
      }
      b.insnStart(pc);
      const [op, ra, rb, imm] = u8.subarray(at, at + 4);
      const rel = (imm << 24) >> 24;
      const a = ra & 3;
      const c = rb & 3;
      switch (op) {
        case TOY.ADD:
          b.set(a, b.add(b.get(a), b.get(c)));
          break;
        case TOY.SUB:
          b.set(a, b.sub(b.get(a), b.get(c)));
          break;
        case TOY.MUL:
          b.set(a, b.mul(b.get(a), b.get(c)));
          break;
        case TOY.XOR:
          b.set(a, b.xor(b.get(a), b.i32(imm * 0x1010101)));
          break;
        case TOY.MOVI:
          b.set(a, b.i32(imm));
          break;
        case TOY.LD:
          b.set(a, b.load('ld32', b.add(b.and(b.get(c), b.i32(0xfff)), b.i32(0x8000 + imm))));
          break;
        case TOY.LD8:
          b.set(a, b.load('ld8u', b.add(b.and(b.get(c), b.i32(0xfff)), b.i32(0x8000 + imm))));
          break;
        case TOY.ST:
          b.store('st32', b.add(b.and(b.get(c), b.i32(0xfff)), b.i32(0x8000 + imm)), b.get(a));
          break;
        case TOY.JNZ:
          b.br(b.ne(b.get(a), b.i32(0)), pc + rel * 4, pc + 4);
          break;
        case TOY.JMP:
          b.jmp(pc + rel * 4);
          break;
        case TOY.CALL: {
          const sp = b.sub(b.get(3), b.i32(4));
          b.store('st32', sp, b.i32(pc + 4));
          b.set(3, sp);
          b.jmp(pc + rel * 4, 0);
          out.callReturn = pc + 4;
          break;
        }
        case TOY.RET: {
          const target = b.load('ld32', b.get(3));
          b.set(3, b.add(b.get(3), b.i32(4)));
          b.jmpInd(target, JUMP_RET);
          break;
        }
        case TOY.TRAP:
          b.callj(1, b.i32(pc));
          break;
        default:
          b.callj(0, b.i32(pc));
          b.exit(EXIT_ALWAYS);
      }
      pc += 4;
      at += 4;
      left -= 4;
      out.insns++;
    }
    out.bytes = pc - r.eip;
    void JUMP_CALL;
  }

  globalsFor(): readonly GlobalDef[] {
    return GLOBALS;
  }
  linear(pc: number, csBase: number): number {
    return (pc + csBase) >>> 0;
  }
  canonical(_lo: number, _hi: number): boolean {
    return true;
  }
  number(lo: number, hi: number): number {
    return (hi | 0) * 2 ** 32 + (lo >>> 0);
  }
  highHalf(lin: number): number {
    return Math.floor(lin / 2 ** 32);
  }
  oneNumber(lin: number): number {
    return lin;
  }
  pageNumber(lin: number): number {
    return Math.floor(lin / 4096);
  }
  pageAddress(page: number): number {
    return page * 4096;
  }
  recordNonCanonical(_lo: number, _hi: number, _kind: number): void {
    throw new Error('toy addresses are all canonical');
  }
  callHelper(id: number, a: number): number {
    if (id === 0) {
      this.halted = true;
      this.#e32[this.offsets.pc >> 2] = a;
    } else if (this.trapFaults > 0) {
      this.trapFaults--;
      throw this.fault;
    } else this.traps++;
    return 0;
  }
  record(): void {
    throw new Error('toy has no exceptions');
  }
  recordPageFault(lin: number): void {
    this.faults.push(lin);
  }
  /** The handler maps the page and the instruction runs again. */
  deliver(): void {
    const lin = this.faults[this.faults.length - 1];
    this.unmapped.delete(lin >>> 12);
  }
  canInterrupt(): boolean {
    return false;
  }
  canNmi(): boolean {
    return true;
  }
  interrupt(): void {
    throw new Error('toy has no interrupts');
  }
  wake(): void {
    this.halted = false;
  }
  walk(lin: number): boolean {
    if (this.unmapped.has(lin >>> 12)) return false;
    this.walkPhys = lin >>> 0;
    return true;
  }
  debugTranslate(lin: number): number {
    return lin;
  }
  hitWatchpoint(): boolean {
    return false;
  }
  deliverPendingTrap(): void {
    void this.#host;
  }
}
