/**
 * The machine states that programs start in: every mode of 16- and 32-bit x86 with code, 64 KiB of data and a stack.
 * The same physical pages are used by all modes; what differs is how the CPU reaches them.
 */
import type { CpuBench } from '@emkit/cpu-testbed';
import {
  CS,
  DS,
  EBP,
  ENV,
  ES,
  ESP,
  FLAG_IOPL,
  FLAG_VM,
  FLAGS_ARITH,
  FS,
  GS,
  HF_TOP,
  HF_TOP_SHIFT,
  SS,
  XMM_STRIDE,
} from '@emkit/x86';
import type { CodeContext } from './instruction.ts';
import type { Random } from './random.ts';

export const MODES = ['flat32', 'seg32', 'code16', 'vm86', 'real', 'ring0'] as const;
export type Mode = (typeof MODES)[number];

const CODE = 0x10000000;
const DATA = 0x20000000;
const STACK = 0x30000000;
const PAGES = { code: 2, data: 16, stack: 2 } as const;
/** Physical: what `CpuBench.map` hands out first. */
const CODE_PHYS = 0x80000;
const DATA_PHYS = CODE_PHYS + PAGES.code * 4096;
const STACK_PHYS = DATA_PHYS + PAGES.data * 4096;
const IVT_HANDLERS = 0x600;

/** Tables and mappings that all programs share. */
export function prepare(bench: CpuBench): void {
  bench.protectedMode();
  for (const [linear, pages] of [
    [CODE, PAGES.code],
    [DATA, PAGES.data],
    [STACK, PAGES.stack],
  ]) {
    for (let n = 0; n < pages; n++) {
      const physical = bench.map(linear + n * 4096);
      bench.alias(physical, physical);
    }
  }
  for (let n = 0; n < 256; n++) {
    const handler = IVT_HANDLERS + n * 4;
    bench.poke32(n * 4, handler);
    bench.poke(handler, [0xf4]);
  }
}

const is16 = (mode: Mode): boolean => mode === 'code16' || mode === 'vm86' || mode === 'real';
const isFlat = (mode: Mode): boolean => mode === 'flat32' || mode === 'ring0';

export function contextOf(mode: Mode): CodeContext {
  return {
    bits: is16(mode) ? 16 : 32,
    data: isFlat(mode) ? DATA : 0,
    stack: isFlat(mode) ? STACK + 0x1000 : 0x1000,
    ring0: mode === 'ring0' || mode === 'real',
  };
}

/** EIP of the first byte of the code pages. */
export const codeOrigin = (mode: Mode): number => (isFlat(mode) ? CODE : 0);
export const CODE_BYTES = PAGES.code * 4096;

/** Put code and random data into memory and the CPU into the mode, with random registers. */
export function enter(bench: CpuBench, mode: Mode, r: Random, code: Uint8Array, entry: number): void {
  const { cpu } = bench;
  bench.poke(CODE_PHYS + entry, code);
  const data = new DataView(new ArrayBuffer(PAGES.data * 4096));
  for (let at = 0; at < data.byteLength; at += 16)
    if ((at & 0xfff) < 0x200 || (at & 0xfff) >= 0xf80 || r.chance(25)) r.fill16(data, at);
  bench.poke(DATA_PHYS, new Uint8Array(data.buffer));
  segments(bench, mode, r);
  const c = contextOf(mode);
  for (let n = 0; n < 3; n++) cpu.setReg(n, r.value());
  for (const n of [3, 5, 6, 7]) cpu.setReg(n, c.data + 0x1000 + r.int(0x700) * 16);
  if (c.bits === 16) cpu.setReg(EBP, c.stack - r.int(64));
  cpu.setReg(ESP, c.stack - 4 * r.int(8));
  cpu.setEflags(r.u32(), FLAGS_ARITH);
  floatState(bench, r);
  cpu.eip = codeOrigin(mode) + entry;
  cpu.afterLoad();
}

function segments(bench: CpuBench, mode: Mode, r: Random): void {
  const { cpu } = bench;
  if (mode === 'real') {
    bench.realMode({
      cs: CODE_PHYS >> 4,
      ds: DATA_PHYS >> 4,
      es: (DATA_PHYS >> 4) + 1,
      ss: STACK_PHYS >> 4,
      fs: CODE_PHYS >> 4,
      gs: (DATA_PHYS >> 4) + 0x100,
    });
    return;
  }
  bench.enterUser();
  const data = (n: number, base: number, limit: number, flags: number): void => cpu.setSeg(n, 0x23, base, limit, flags);
  switch (mode) {
    case 'ring0':
      cpu.setSeg(CS, 8, 0, 0xffffffff, 0x00cf9b00);
      for (const n of [DS, ES, SS, FS, GS]) cpu.setSeg(n, 0x10, 0, 0xffffffff, 0x00cf9300);
      cpu.cpl = 0;
      break;
    case 'seg32':
    case 'code16': {
      const big = mode === 'seg32' ? 0x00400000 : 0;
      cpu.setSeg(CS, 0x1b, CODE, CODE_BYTES - 1, 0x0000fb00 | big);
      data(DS, DATA, 0xffff, 0x0000f300);
      data(ES, DATA + 16 * r.int(3), 0xffff - r.int(2) * 0x100, 0x0000f300);
      // expand-down: offsets above the limit are the valid ones
      if (mode === 'seg32' && r.chance(30)) data(SS, STACK, 0x7ff, 0x0000f700 | big);
      else data(SS, STACK, 0x1fff, 0x0000f300 | big);
      data(FS, CODE, CODE_BYTES - 1, 0x0000f300);
      if (r.chance(50)) data(GS, 0, 0xffffffff, 0x00c0f300);
      else cpu.setSeg(GS, 0, 0, 0, 0);
      break;
    }
    case 'vm86': {
      const set = (n: number, selector: number): void => cpu.setSeg(n, selector, selector << 4, 0xffff, 0x0000f300);
      set(CS, CODE_PHYS >> 4);
      set(DS, DATA_PHYS >> 4);
      set(ES, (DATA_PHYS >> 4) + 1);
      set(SS, STACK_PHYS >> 4);
      set(FS, CODE_PHYS >> 4);
      set(GS, (DATA_PHYS >> 4) + 0x100);
      cpu.setEflags(FLAG_VM | (r.chance(50) ? FLAG_IOPL : 0), FLAG_VM | FLAG_IOPL);
      break;
    }
    default:
  }
}

function floatState(bench: CpuBench, r: Random): void {
  const { cpu } = bench;
  const view = new DataView(cpu.e8.buffer, cpu.e8.byteOffset, ENV.SIZE);
  for (let n = 0; n < 8; n++) {
    r.fill16(view, ENV.FPREGS + 16 * n);
    view.setUint32(ENV.FPREGS + 16 * n + 12, 0, true);
    view.setUint16(ENV.FPREGS + 16 * n + 10, 0, true);
    r.fill16(view, ENV.XMM + XMM_STRIDE * n);
  }
  const kind = r.int(3); // empty, full, any
  for (let n = 0; n < 8; n++) cpu.e8[ENV.FPTAGS + n] = kind === 0 ? 1 : kind === 1 ? 0 : r.int(2);
  const control = r.chance(70) ? 0x37f : (r.u32() & 0xf00) | 0x40 | (r.chance(50) ? 0x3f : r.int(64));
  // flags of unmasked exceptions come with ES and B, as FLDENV would leave them; a program that starts so ends soon
  const raised = r.chance(60) ? 0 : r.int(64) & (r.chance(90) ? control : 0x3f);
  const pending = (raised & ~control & 0x3f) !== 0 ? 0x8080 : 0;
  cpu.setEnv32(ENV.FPUC, control);
  cpu.setEnv32(ENV.FPUS, (r.chance(60) ? 0 : r.u32() & 0x4700) | raised | pending);
  cpu.setEnv32(
    ENV.MXCSR,
    r.chance(40) ? 0x1fa0 : r.chance(60) ? 0x1f80 : (r.u32() & 0xe03f) | (r.chance(70) ? 0x1f80 : r.u32() & 0x1f80),
  );
  cpu.hflags = (cpu.hflags & ~HF_TOP) | (r.int(8) << HF_TOP_SHIFT);
}
