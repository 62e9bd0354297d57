/**
 * Test double of the accelerator: RAM in one ArrayBuffer, every access through `cpu.walk`, no TLB. Helpers are run as
 * the accelerator does: a fault puts EIP back and is returned, or delivered.
 */
import { CPU_FAULT, X86Cpu } from '../src/cpu.ts';
import type { X86Host } from '../src/cpu.ts';
import { parseCpuOption } from '../src/models/cpu-option.ts';
import type { CpuModel } from '../src/models/model.ts';
import { ENV, SEG_STRIDE } from '../src/state.ts';

export const RAM_AT = 0x10000;

export class FakeHost implements X86Host {
  readonly memory: ArrayBuffer;
  readonly envBase = 0x1000;
  readonly ram: DataView;
  readonly ramSize: number;
  cpu!: X86Cpu;
  insnEip = 0;
  flushes: string[] = [];
  ports: { port: number; size: number; value: number }[] = [];
  portValue = 0;
  halts = 0;
  shutdowns: string[] = [];
  ticks = 0;
  ferrLevel = false;

  constructor(ramSize = 1 << 20) {
    this.ramSize = ramSize;
    this.memory = new ArrayBuffer(RAM_AT + ramSize);
    this.ram = new DataView(this.memory, RAM_AT);
  }
  currentEip(): number {
    return this.insnEip;
  }

  #phys(lin: number, access: number, user: number): number {
    const at = this.cpu.longMode ? lin : lin >>> 0;
    if (!this.cpu.walk(at, access, user !== 0)) this.cpu.pageFault(at, this.cpu.faultError);
    return this.cpu.walkPhys;
  }
  read8(lin: number, user: number): number {
    return this.physRead8(this.#phys(lin, 0, user));
  }
  read16(lin: number, user: number): number {
    return this.read8(lin, user) | (this.read8(lin + 1, user) << 8);
  }
  read32(lin: number, user: number): number {
    return (this.read16(lin, user) | (this.read16(lin + 2, user) << 16)) >>> 0;
  }
  write8(lin: number, v: number, user: number): void {
    this.physWrite8(this.#phys(lin, 1, user), v);
  }
  write16(lin: number, v: number, user: number): void {
    this.#phys(lin + 1, 1, user);
    this.write8(lin, v & 0xff, user);
    this.write8(lin + 1, (v >>> 8) & 0xff, user);
  }
  write32(lin: number, v: number, user: number): void {
    this.#phys(lin + 3, 1, user);
    this.write16(lin, v & 0xffff, user);
    this.write16(lin + 2, (v >>> 16) & 0xffff, user);
  }
  pointer(lin: number, access: number, user: number): number {
    const pa = this.#phys(lin, access, user);
    return pa < this.ramSize ? RAM_AT + pa : -1;
  }
  physRead8(pa: number): number {
    return pa < this.ramSize ? this.ram.getUint8(pa) : 0xff;
  }
  physRead16(pa: number): number {
    return this.physRead8(pa) | (this.physRead8(pa + 1) << 8);
  }
  physRead32(pa: number): number {
    return (this.physRead16(pa) | (this.physRead16(pa + 2) << 16)) >>> 0;
  }
  physWrite8(pa: number, v: number): void {
    if (pa < this.ramSize) this.ram.setUint8(pa, v);
  }
  physWrite16(pa: number, v: number): void {
    this.physWrite8(pa, v & 0xff);
    this.physWrite8(pa + 1, (v >>> 8) & 0xff);
  }
  physWrite32(pa: number, v: number): void {
    this.physWrite16(pa, v & 0xffff);
    this.physWrite16(pa + 2, v >>> 16);
  }
  flushTlb(includeGlobal: boolean): void {
    this.flushes.push(includeGlobal ? 'all' : 'local');
  }
  flushTlbPage(lin: number): void {
    this.flushes.push(`page ${lin.toString(16)}`);
  }
  portIn(port: number, size: number): number {
    this.ports.push({ port, size, value: -1 });
    return this.portValue;
  }
  portOut(port: number, size: number, value: number): void {
    this.ports.push({ port, size, value });
  }
  tsc(): number {
    return this.ticks;
  }
  halt(): void {
    this.halts++;
  }
  shutdown(reason: string): void {
    this.shutdowns.push(reason);
  }
  acknowledgeInterrupt(): number {
    return 0x20;
  }
  ferr(level: boolean): void {
    this.ferrLevel = level;
  }
  forgotten: number[] = [];
  forgetSupervisorPage(lin: number): void {
    this.forgotten.push(lin);
  }
  tpr = 0;
  apicTpr(): number {
    return this.tpr;
  }
  setApicTpr(priority: number): void {
    this.tpr = priority;
  }
  deadline = -1;
  setTscDeadline(ticks: number): void {
    this.deadline = ticks;
  }
  tscDeadlineArmed(): boolean {
    return this.deadline > 0;
  }
  x2apic = new Map<number, readonly [number, number]>();
  x2apicRead(msr: number, out: Uint32Array): boolean {
    const v = this.x2apic.get(msr);
    if (v !== undefined) out.set(v);
    return v !== undefined;
  }
  x2apicWrite(msr: number, low: number, high: number): boolean {
    this.x2apic.set(msr, [low, high]);
    return true;
  }
  randomValue = 0x12345678;
  random32(): number {
    return this.randomValue++;
  }
}

/** What a helper did: null, or the exception it raised. */
export interface Raised {
  vector: number;
  error: number;
}

export class Bench {
  readonly host: FakeHost;
  readonly cpu: X86Cpu;

  constructor(model: string | CpuModel = 'max', ramSize = 1 << 20) {
    this.host = new FakeHost(ramSize);
    this.host.cpu = undefined as unknown as X86Cpu;
    this.cpu = new X86Cpu(this.host, typeof model === 'string' ? parseCpuOption(model) : model);
    this.host.cpu = this.cpu;
    this.host.flushes = [];
  }

  /** Run a helper; a fault is returned, not delivered. */
  try(run: () => void): Raised | null {
    try {
      run();
      return null;
    } catch (fault) {
      if (fault !== CPU_FAULT) throw fault;
      this.cpu.eip = this.host.insnEip;
      return { vector: this.cpu.env32(ENV.EXCEPTION_VECTOR), error: this.cpu.ei32[ENV.EXCEPTION_ERROR >> 2] };
    }
  }
  /** Run a helper; a fault is delivered. */
  exec(run: () => void): void {
    if (this.try(run) !== null) this.cpu.deliver();
  }
  r16(pa: number): number {
    return this.host.physRead16(pa);
  }
  r32(pa: number): number {
    return this.host.physRead32(pa);
  }
  w16(pa: number, v: number): void {
    this.host.physWrite16(pa, v);
  }
  w32(pa: number, v: number): void {
    this.host.physWrite32(pa, v >>> 0);
  }
  descriptor(at: number, d: readonly [number, number]): void {
    this.w32(at, d[0]);
    this.w32(at + 4, d[1]);
  }
}

/** Descriptor from base, byte limit or page limit, access byte (bits 15:8 of the high dword), flags nibble (G D L AVL). */
export function descriptor(base: number, limit: number, access: number, flags: number): [number, number] {
  return [
    ((base & 0xffff) << 16) | (limit & 0xffff),
    (base & 0xff000000) | (flags << 20) | (limit & 0xf0000) | (access << 8) | ((base >>> 16) & 0xff),
  ];
}
/** Gate descriptor. */
export function gate(selector: number, offset: number, access: number, count = 0): [number, number] {
  return [(selector << 16) | (offset & 0xffff), (offset & 0xffff0000) | (access << 8) | count];
}

export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const LDT = 0x4000;
/** Selectors of the standard table that `protectedBench` builds. */
export const KCODE = 0x08;
export const KDATA = 0x10;
export const UCODE = 0x1b;
export const UDATA = 0x23;
export const TR_SEL = 0x28;
export const LDT_SEL = 0x30;
export const KCODE16 = 0x38;
export const KDATA16 = 0x40;
export const R1CODE = 0x49;
export const R1DATA = 0x51;
export const CONFORMING = 0x58;
/** First free GDT slot. */
export const FREE_SEL = 0x60;
export const KSTACK = 0x9000;
export const USTACK = 0xa000;

/** Flat 32-bit protected mode at CPL 0: GDT, IDT (empty), a 32-bit TSS with ESP0, an LDT. */
export function protectedBench(model = 'max'): Bench {
  const b = new Bench(model);
  const { cpu } = b;
  const flat = 0xfffff;
  b.descriptor(GDT + KCODE, descriptor(0, flat, 0x9a, 0xc));
  b.descriptor(GDT + KDATA, descriptor(0, flat, 0x92, 0xc));
  b.descriptor(GDT + (UCODE & ~3), descriptor(0, flat, 0xfa, 0xc));
  b.descriptor(GDT + (UDATA & ~3), descriptor(0, flat, 0xf2, 0xc));
  b.descriptor(GDT + TR_SEL, descriptor(TSS, 0x1ff, 0x89, 0));
  b.descriptor(GDT + LDT_SEL, descriptor(LDT, 0xff, 0x82, 0));
  b.descriptor(GDT + KCODE16, descriptor(0, 0xffff, 0x9a, 0));
  b.descriptor(GDT + KDATA16, descriptor(0, 0xffff, 0x92, 0));
  b.descriptor(GDT + (R1CODE & ~3), descriptor(0, flat, 0xba, 0xc));
  b.descriptor(GDT + (R1DATA & ~3), descriptor(0, flat, 0xb2, 0xc));
  b.descriptor(GDT + CONFORMING, descriptor(0, flat, 0x9e, 0xc));
  cpu.setEnv32(ENV.GDT_BASE, GDT);
  cpu.setEnv32(ENV.GDT_LIMIT, 0xff);
  cpu.setEnv32(ENV.IDT_BASE, IDT);
  cpu.setEnv32(ENV.IDT_LIMIT, 0x7ff);
  b.w32(TSS + 4, KSTACK);
  b.w32(TSS + 8, KDATA);
  b.w32(TSS + 12, KSTACK - 0x800);
  b.w32(TSS + 16, R1DATA);
  b.w16(TSS + 0x66, 0x68);
  b.host.ram.setUint8(TSS + 0x1ff, 0xff);
  cpu.setCrRaw(0, 0x11);
  cpu.cpl = 0;
  setFlat(b, KCODE, KDATA, 0);
  cpu.setReg(4, KSTACK);
  cpu.setSegCache(ENV.TR, TR_SEL, TSS, 0x1ff, 0x8b00);
  b.host.ram.setUint8(GDT + TR_SEL + 5, 0x8b);
  cpu.setSegCache(ENV.LDTR, LDT_SEL, LDT, 0xff, 0x8200);
  cpu.eip = 0x5000;
  b.host.insnEip = 0x5000;
  cpu.updateHflags();
  return b;
}

/** Flat segments of a privilege without going through descriptors. */
export function setFlat(b: Bench, code: number, data: number, cpl: number): void {
  const { cpu } = b;
  const dpl = cpl << 13;
  for (let seg = 0; seg < 6; seg++) cpu.setSeg(seg, data, 0, 0xffffffff, 0xc09300 | dpl);
  cpu.setSeg(1, code, 0, 0xffffffff, 0xc09b00 | dpl);
  cpu.cpl = cpl;
  cpu.updateHflags();
}
/** To user mode with ESP = USTACK. */
export function toUser(b: Bench): void {
  setFlat(b, UCODE, UDATA, 3);
  b.cpu.setReg(4, USTACK);
}
/** The selector and base of every segment register, for comparisons. */
export function segments(b: Bench): number[] {
  return [0, 1, 2, 3, 4, 5].flatMap((n) => [b.cpu.segSelector(n), b.cpu.segBase(n)]);
}
export const SEG_AT = (n: number): number => ENV.SEG + n * SEG_STRIDE;
