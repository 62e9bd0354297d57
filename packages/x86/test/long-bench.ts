/**
 * A processor in long mode for tests of helpers: four-level tables that map the first 2 MiB at 0 (user) and at -2 GiB
 * (supervisor), a GDT as 64-bit operating systems have it, an empty IDT, a 64-bit TSS.
 */
import { ALL_FEATURES } from '../src/decode/features.ts';
import { parseCpuOption } from '../src/models/cpu-option.ts';
import { F_LA57 } from '../src/models/features.ts';
import type { CpuModel } from '../src/models/model.ts';
import { ENV } from '../src/state.ts';
import { Bench, descriptor } from './fake-host.ts';

/** With five-level paging. */
export const LA57_MODEL: CpuModel = { ...parseCpuOption('max'), vendor: 'GenuineIntel', features: ALL_FEATURES };
export const LONG_MODEL: CpuModel = {
  ...LA57_MODEL,
  features: { ...ALL_FEATURES, ecx7: ALL_FEATURES.ecx7 & ~F_LA57 },
};
export const AMD_MODEL: CpuModel = { ...LONG_MODEL, vendor: 'AuthenticAMD' };

/** Where the lowest 2 MiB appear in the upper half, for supervisors only. */
export const HIGH = -0x80000000;
export const HIGH_WORD = 0xffffffff;
export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const LDT = 0x4000;
export const PML4 = 0x10000;
export const PDPT = 0x11000;
export const PD = 0x12000;
const HIGH_PDPT = 0x13000;
const HIGH_PD = 0x14000;

export const KCODE = 0x08;
export const KDATA = 0x10;
export const UCODE32 = 0x1b;
export const UDATA = 0x23;
export const UCODE = 0x2b;
export const TR_SEL = 0x30;
export const LDT_SEL = 0x40;
export const KCODE32 = 0x50;
export const CONFORMING = 0x58;
/** Two slots each. */
export const GATE_SEL = 0x60;
export const FREE_SEL = 0x70;
/** Stack tops as numbers, in the upper half. */
export const RSP0 = HIGH + 0x9000;
export const IST1 = HIGH + 0x7000;
export const USTACK = 0xa000;

export function gate64(
  at: (offset: number, v: number) => void,
  selector: number,
  offset: number,
  access: number,
  ist = 0,
): void {
  at(0, (selector << 16) | (offset & 0xffff));
  at(4, (offset & 0xffff0000) | (access << 8) | ist);
  at(8, Math.floor(offset / 2 ** 32));
  at(12, 0);
}

export class LongBench extends Bench {
  /** Selector 16-byte descriptors. */
  wide(at: number, d: readonly [number, number], upper = HIGH_WORD): void {
    this.descriptor(at, d);
    this.w32(at + 8, upper);
    this.w32(at + 12, 0);
  }
  gate(vector: number, selector: number, offset: number, access: number, ist = 0): void {
    gate64((n, v) => this.w32(IDT + vector * 16 + n, v), selector, offset, access, ist);
  }
  w64(pa: number, v: number): void {
    this.w32(pa, v);
    this.w32(pa + 4, Math.floor(v / 2 ** 32));
  }
  r64(pa: number): number {
    return (this.r32(pa + 4) | 0) * 2 ** 32 + this.r32(pa);
  }
  /** RSP as a number. */
  get rsp(): number {
    return this.cpu.regNumber(4);
  }
  set rsp(v: number) {
    this.cpu.setReg64(4, v, Math.floor(v / 2 ** 32));
  }
  /** The 64-bit words on the stack. */
  stack(n: number): number[] {
    const at = this.rsp >= 0 ? this.rsp : this.rsp - HIGH;
    return Array.from({ length: n }, (_, i) => this.r64(at + 8 * i));
  }
  /** RIP of the next instruction's start, for faults. */
  goto(rip: number): void {
    this.cpu.rip = rip;
    this.host.insnEip = this.cpu.eip;
  }
  level(code: number, data: number, cpl: number): void {
    const { cpu } = this;
    const dpl = cpl << 13;
    for (let seg = 0; seg < 6; seg++) cpu.setSeg(seg, data, 0, 0xffffffff, 0xc09300 | dpl);
    cpu.setSeg(1, code, 0, 0xffffffff, (code & 0x28) === 0x28 || code === KCODE ? 0xa09b00 | dpl : 0xc09b00 | dpl);
    cpu.cpl = cpl;
    cpu.updateHflags();
  }
  toUser(code = UCODE): void {
    this.level(code, UDATA, 3);
    this.rsp = USTACK;
    this.goto(0x5000);
  }
}

/** 64-bit code at CPL 0, at RIP HIGH + 5000H. */
export function longBench(model: CpuModel = LONG_MODEL): LongBench {
  const b = new LongBench(model);
  const { cpu } = b;
  const flat = 0xfffff;
  b.descriptor(GDT + KCODE, descriptor(0, flat, 0x9a, 0xa));
  b.descriptor(GDT + KDATA, descriptor(0, flat, 0x92, 0xc));
  b.descriptor(GDT + (UCODE32 & ~3), descriptor(0, flat, 0xfa, 0xc));
  b.descriptor(GDT + (UDATA & ~3), descriptor(0, flat, 0xf2, 0xc));
  b.descriptor(GDT + (UCODE & ~3), descriptor(0, flat, 0xfa, 0xa));
  b.wide(GDT + TR_SEL, descriptor(0x80000000 + TSS, 0x67, 0x8b, 0));
  b.wide(GDT + LDT_SEL, descriptor(0x80000000 + LDT, 0xff, 0x82, 0));
  b.descriptor(GDT + KCODE32, descriptor(0, flat, 0x9a, 0xc));
  b.descriptor(GDT + CONFORMING, descriptor(0, flat, 0x9e, 0xa));
  b.w64(TSS + 4, RSP0);
  b.w64(TSS + 0x24, IST1);
  b.w32(PML4, PDPT | 7);
  b.w32(PDPT, PD | 7);
  b.w32(PD, 0xe7);
  b.w32(PML4 + 511 * 8, HIGH_PDPT | 3);
  b.w32(HIGH_PDPT + 510 * 8, HIGH_PD | 3);
  b.w32(HIGH_PD, 0x1e3);
  cpu.setCrRaw(4, 0x6b0); // PSE PAE PGE OSFXSR OSXMMEXCPT
  cpu.setCrRaw(3, PML4);
  cpu.setCrRaw(0, 0x80010031); // PG WP NE PE
  cpu.setEnv32(ENV.MSR_EFER, 0xd01); // NXE LMA LME SCE
  cpu.setEnv64(ENV.GDT_BASE, 0x80000000 + GDT, HIGH_WORD);
  cpu.setEnv32(ENV.GDT_LIMIT, 0x7f);
  cpu.setEnv64(ENV.IDT_BASE, 0x80000000 + IDT, HIGH_WORD);
  cpu.setEnv32(ENV.IDT_LIMIT, 0xfff);
  cpu.setSegCache(ENV.TR, TR_SEL, 0x80000000 + TSS, 0x67, 0x8b00);
  cpu.setEnv32(ENV.TR + 12, HIGH_WORD);
  cpu.updateHflags();
  b.level(KCODE, KDATA, 0);
  b.rsp = RSP0;
  b.goto(HIGH + 0x5000);
  b.host.flushes = [];
  return b;
}

export const PML5 = 0x15000;
/** High halves under which the lowest 256 TiB show again with five levels: in user and in kernel space. */
export const USER_57 = 0x0040_0000;
export const KERNEL_57 = 0xff11_0000;

/** As `longBench`, with five levels of tables. */
export function la57Bench(): LongBench {
  const b = longBench(LA57_MODEL);
  for (const index of [0, USER_57 >>> 16, (KERNEL_57 >>> 16) & 511, 511]) b.w32(PML5 + index * 8, PML4 | 7);
  b.cpu.setCrRaw(3, PML5);
  b.cpu.setCrRaw(4, b.cpu.cr(4) | (1 << 12));
  b.cpu.updateHflags();
  return b;
}
