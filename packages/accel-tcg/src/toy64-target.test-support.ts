/**
 * The toy with 64-bit registers and addresses: the same 4-byte instructions [opcode, a, b, imm8], loads and stores anywhere, jumps by register.
 * Its pages are a table; canonical addresses have 48 bits.
 */
import { EXIT_ALWAYS, I64, JUMP_CALL, JUMP_RET, MEM_STACK } from '@emkit/ir';
import type { GlobalDef, IrBuilder, TranslateRequest, TranslateResult, Value } from '@emkit/ir';
import type { TargetHost } from './target.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';

export const TOY64 = {
  ...TOY,
  SHL: 20,
  MOV: 21,
  LD64: 22,
  ST64: 23,
  ADDI: 24,
  CALLR: 25,
  JMPR: 26,
  PUSH: 27,
  ST8: 28,
} as const;
export const FLAG_LONG = 16;
/** Where a fault that maps nothing goes. */
export const HANDLER = 0x2_0000_0000;
const LINK = 3;
const GLOBALS: readonly GlobalDef[] = [0, 1, 2, 3].map((n) => ({ name: `r${n}`, type: I64, offset: n * 8 }));

export class Toy64Target extends ToyTarget {
  override readonly longMask = FLAG_LONG;
  override readonly windowMask = FLAG_LONG;
  /** Physical page addresses by linear page address. */
  readonly pages = new Map<number, number>();
  /** What `deliver` maps when it is asked for. */
  readonly onDemand = new Map<number, number>();
  readonly nonCanonical: { readonly lo: number; readonly hi: number; readonly kind: number }[] = [];
  readonly #env: DataView;

  constructor(host: TargetHost) {
    super(host);
    this.#env = new DataView(host.memory as ArrayBuffer, host.envBase, 256);
    this.#env.setInt32(this.offsets.flags, FLAG_LONG, true);
  }

  reg64(n: number): bigint {
    return this.#env.getBigInt64(n * 8, true);
  }
  setReg64(n: number, v: bigint): void {
    this.#env.setBigInt64(n * 8, v, true);
  }
  jump(linear: number): void {
    this.#env.setInt32(this.offsets.pc, linear | 0, true);
    this.#env.setInt32(this.offsets.csBase, Math.floor(linear / 2 ** 32), true);
    this.halted = false;
  }

  override globalsFor(): readonly GlobalDef[] {
    return GLOBALS;
  }
  override linear(pc: number, csBase: number): number {
    return (csBase | 0) * 2 ** 32 + (pc >>> 0);
  }
  override canonical(_lo: number, hi: number): boolean {
    return hi >> 15 === hi >> 31;
  }
  override recordNonCanonical(lo: number, hi: number, kind: number): void {
    this.nonCanonical.push({ lo, hi, kind });
  }
  override deliver(): void {
    const page = Math.floor(this.faults[this.faults.length - 1] / 4096) * 4096;
    const to = this.onDemand.get(page);
    if (this.nonCanonical.length > 0 || to === undefined) this.jump(HANDLER);
    else this.pages.set(page, to);
  }
  override walk(lin: number): boolean {
    const page = this.pages.get(Math.floor(lin / 4096) * 4096);
    if (page === undefined) return false;
    this.walkPhys = page + (lin & 4095);
    return true;
  }

  override translate(b: IrBuilder, r: TranslateRequest, out: TranslateResult): void {
    const { u8 } = r.code;
    let pc = r.eip;
    let at = r.code.offset;
    let left = r.code.available;
    Object.assign(out, {
      fault: false,
      volatileOffsets: [],
      exitFlags: r.flags,
      exitCcOp: -1,
      quickFirst: false,
      quickNext: -1,
      callReturn: -1,
      insns: 0,
    });
    while (!b.terminated) {
      if (out.insns === r.maxInsns || left < 4 || (pc === r.endEip && out.insns > 0)) {
        b.jmp(pc);
        break;
      }
      const here = (): Value => (r.movable ? b.wrap(b.add(b.codeOffset(), b.i64Parts(pc, r.csBase))) : b.i32(pc));
      b.insnStart(pc);
      const [op, ra, rb, imm] = u8.subarray(at, at + 4);
      const rel = (imm << 24) >> 24;
      const a = ra & 3;
      const c = rb & 3;
      const address = b.add(b.get(c), b.i64(rel));
      const push = (v: number): void => {
        const sp = b.sub(b.get(LINK), b.i64(8));
        b.store('st64', sp, v, MEM_STACK);
        b.set(LINK, sp);
      };
      switch (op) {
        case TOY64.ADD:
          b.set(a, b.add(b.get(a), b.get(c)));
          break;
        case TOY64.SUB:
          b.set(a, b.sub(b.get(a), b.get(c)));
          break;
        case TOY64.MUL:
          // of 32 bits, zero-extended
          b.set(a, b.extU(b.mul(b.wrap(b.get(a)), b.wrap(b.get(c)))));
          break;
        case TOY64.XOR:
          b.set(a, b.xor(b.get(a), b.i64Parts(imm * 0x1010101, imm * 0x10101)));
          break;
        case TOY64.ADDI:
          b.set(a, b.add(b.get(a), b.i64(rel)));
          break;
        case TOY64.MOVI:
          b.set(a, b.i64(rel));
          break;
        case TOY64.SHL:
          b.set(a, b.shl(b.get(a), b.i64(imm)));
          break;
        case TOY64.MOV:
          b.set(a, b.get(c));
          break;
        case TOY64.LD:
          b.set(a, b.extU(b.load('ld32', address)));
          break;
        case TOY64.LD8:
          b.set(a, b.extU(b.load('ld8u', address)));
          break;
        case TOY64.LD64:
          b.set(a, b.load('ld64', address));
          break;
        case TOY64.ST:
          b.store('st32', address, b.wrap(b.get(a)));
          break;
        case TOY64.ST8:
          b.store('st8', address, b.wrap(b.get(a)));
          break;
        case TOY64.ST64:
          b.store('st64', address, b.get(a));
          break;
        case TOY64.JNZ:
          b.br(b.ne(b.get(a), b.i64(0)), pc + rel * 4, pc + 4);
          break;
        case TOY64.JMP:
          b.jmp(pc + rel * 4);
          break;
        case TOY64.CALLR:
          push(r.movable ? b.add(b.codeOffset(), b.i64Parts(pc + 4, r.csBase)) : b.i64Parts(pc + 4, r.csBase));
          b.jmpInd(b.get(a), JUMP_CALL);
          out.callReturn = pc + 4;
          break;
        case TOY64.PUSH:
          push(b.get(a));
          break;
        case TOY64.JMPR:
          b.jmpInd(b.get(a));
          break;
        case TOY64.RET: {
          const to = b.load('ld64', b.get(LINK), MEM_STACK);
          b.set(LINK, b.add(b.get(LINK), b.i64(8)));
          b.jmpInd(to, JUMP_RET);
          break;
        }
        case TOY64.TRAP:
          b.callj(1, here());
          break;
        default:
          b.callj(0, here());
          b.exit(EXIT_ALWAYS);
      }
      pc += 4;
      at += 4;
      left -= 4;
      out.insns++;
    }
    out.bytes = pc - r.eip;
  }
}
