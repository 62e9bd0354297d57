/** emkit's side: a board that is stepped by single instructions, never run. */
import { createPageInfo, PAGE_RAM } from '@emkit/memory';
import { createPc } from '@emkit/pc';
import type { Pc, PcOptions } from '@emkit/pc';
import { disassemble, ENV } from '@emkit/x86';
import { hexOf, REGISTER_NAMES, SEGMENT_NAMES } from './cpu-state.ts';
import type { CpuState } from './cpu-state.ts';

const SEGMENT_STRIDE = 32;
const SEGMENT_BASE = 8;
const CR_STRIDE = 8;
const LONGEST = 15;
const PAGE = 4096;
const VIDEO = 0xa0000;
const MIB = 2 ** 20;

export class Subject {
  readonly #board: Pc['board'];

  private constructor(pc: Pc) {
    this.#board = pc.board;
  }
  static async create(options: PcOptions): Promise<Subject> {
    return new Subject(await createPc({ ...options, startPaused: true }));
  }

  /** Linear address of the next instruction. */
  get pc(): number {
    return this.#board.tcg.linearPc;
  }
  get halted(): boolean {
    return this.#board.cpu.halted;
  }

  /** One instruction; a repeated string instruction may take several. */
  step(): void {
    const { tcg, machine } = this.#board;
    tcg.step();
    for (const hook of machine.onSliceEnd) hook();
  }

  state(): CpuState {
    const { cpu } = this.#board;
    const { code64 } = cpu;
    const registers = new Map<string, string>();
    for (let n = 0; n < (code64 ? 16 : 8); n++)
      registers.set(REGISTER_NAMES[n] ?? `R${n}`, hexOf(code64 ? cpu.regHigh(n) : 0, cpu.reg(n)));
    const system = new Map<string, string>();
    SEGMENT_NAMES.forEach((name, n) => {
      const at = ENV.SEG + SEGMENT_STRIDE * n;
      const base = hexOf(cpu.longMode ? cpu.env32(at + SEGMENT_BASE + 4) : 0, cpu.env32(at + SEGMENT_BASE));
      system.set(name, `${cpu.segSelector(n).toString(16)}:${base}`);
    });
    for (const n of [0, 3, 4])
      system.set(`CR${n}`, hexOf(cpu.env32(ENV.CR + CR_STRIDE * n + 4), cpu.env32(ENV.CR + CR_STRIDE * n)));
    system.set('EFER', hexOf(0, cpu.env32(ENV.MSR_EFER)));
    const ip = hexOf(code64 ? cpu.env32(ENV.CS_BASE) : 0, cpu.eip);
    return { code64, registers, ip, flags: cpu.eflags(), system };
  }

  /** General registers and arithmetic flags become the reference's. */
  take(reference: CpuState): void {
    const { cpu } = this.#board;
    REGISTER_NAMES.forEach((name, n) => this.#setRegister(n, reference.registers.get(name)));
    for (let n = 8; n < 16; n++) this.#setRegister(n, reference.registers.get(`R${n}`));
    cpu.setEflags(reference.flags, 0xcd5);
    cpu.updateHflags();
  }
  #setRegister(n: number, hex: string | undefined): void {
    if (hex === undefined) return;
    const digits = hex.padStart(16, '0');
    this.#board.cpu.setReg64(n, parseInt(digits.slice(8), 16), parseInt(digits.slice(0, 8), 16));
  }

  /** RAM from physical address 0 on, but for what lies between the video memory and 1 MiB. */
  writeMemory(bytes: Uint8Array): void {
    const { tcg } = this.#board;
    const page = createPageInfo();
    const memory = new Uint8Array(tcg.memory.buffer);
    for (let at = 0; at < bytes.length; at += PAGE) {
      if (at >= VIDEO && at < MIB) continue;
      if (tcg.space.lookupPage(at / PAGE, page) !== PAGE_RAM) continue;
      memory.set(bytes.subarray(at, at + PAGE), page.hostOffset);
      tcg.ramWritten(page.hostOffset, PAGE);
    }
  }

  /** The instruction at the pc, in AT&T syntax; empty where its bytes cannot be read. */
  instruction(): string {
    const { cpu, tcg } = this.#board;
    const page = createPageInfo();
    const memory = new Uint8Array(tcg.memory.buffer);
    const bytes: number[] = [];
    for (let n = 0; n < LONGEST; n++) {
      const physical = cpu.debugTranslate(tcg.linearPc + n);
      if (physical < 0) break;
      tcg.space.lookupPage(Math.floor(physical / 4096), page);
      if (page.hostOffset <= 0) break;
      bytes.push(memory[page.hostOffset + (physical & 4095)]!);
    }
    if (bytes.length === 0) return '';
    const mode = cpu.code64 ? 64 : (cpu.segFlags(1) & (1 << 22)) !== 0 ? 32 : 16;
    return disassemble(Uint8Array.from([...bytes, ...new Array<number>(LONGEST - bytes.length).fill(0)]), cpu.eip, mode)
      .text;
  }
}
