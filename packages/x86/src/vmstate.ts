/**
 * What of a processor is saved, as data: name, byte offset in env, kind and count of each field; and save and load over
 * env. A saved state is accepted whole or not at all: length, version and each field's constraint are checked before
 * the first byte changes. Derived state (watchpoints, block flags, TLB) is rebuilt after a load.
 * Version 1 is that before long mode: without the fields that say `since`, which are then as after reset.
 */
import type { X86Cpu } from './cpu.ts';
import { CS, ENV, HF_CPL, HF_INHIBIT_IRQ, HF_TOP, SEG_BASE, SEG_FLAGS, SEG_STRIDE, XMM_STRIDE } from './state.ts';
import { F_LA57 } from './models/features.ts';
import { CR0_PG, CR4_LA57, CR4_PAE, EFER_LMA, EFER_LME, XCR0_X87 } from './system/cr-bits.ts';
import { DESC_L } from './system/descriptor-bits.ts';
import { LinearNumbers } from './system/linear-numbers.ts';

export type VmFieldKind = 'u8' | 'u32' | 'u64' | 'bytes';
export interface VmField {
  readonly name: string;
  /** Byte offset in env. */
  readonly offset: number;
  readonly kind: VmFieldKind;
  /** Elements (bytes for kind `bytes`). */
  readonly count: number;
  /** First version that has it. @default 1 */
  readonly since?: number;
}
export interface VmDescription {
  readonly name: string;
  readonly version: number;
  readonly fields: readonly VmField[];
}

/** A state that cannot be loaded: which field, and why. */
export class VmStateError extends Error {
  override readonly name = 'VmStateError';
}

const u32 = (name: string, offset: number, count = 1): VmField => ({ name, offset, kind: 'u32', count });
const u64 = (name: string, offset: number, count = 1): VmField => ({ name, offset, kind: 'u64', count });
const bytes = (name: string, offset: number, count: number): VmField => ({ name, offset, kind: 'bytes', count });

export const X86_VMSTATE: VmDescription = {
  name: 'x86-cpu',
  version: 2,
  fields: [
    u64('gpr', ENV.GPR, 16),
    u64('eip', ENV.EIP),
    u32('hflags', ENV.HFLAGS),
    u32('cc_op', ENV.CC_OP),
    u64('cc_dst', ENV.CC_DST),
    u64('cc_src', ENV.CC_SRC),
    u64('cc_src2', ENV.CC_SRC2),
    u32('eflags', ENV.EFLAGS),
    bytes('segments', ENV.SEG, 6 * SEG_STRIDE),
    bytes('ldtr', ENV.LDTR, SEG_STRIDE),
    bytes('tr', ENV.TR, SEG_STRIDE),
    u64('gdt_base', ENV.GDT_BASE),
    u32('gdt_limit', ENV.GDT_LIMIT),
    u64('idt_base', ENV.IDT_BASE),
    u32('idt_limit', ENV.IDT_LIMIT),
    u64('cr', ENV.CR, 9),
    u64('dr', ENV.DR, 8),
    u32('inhibit_irq', ENV.INHIBIT_IRQ),
    u32('halted', ENV.HALTED),
    u32('a20_mask', ENV.A20_MASK),
    u32('exception_vector', ENV.EXCEPTION_VECTOR),
    u32('exception_error', ENV.EXCEPTION_ERROR),
    u32('pending_dr6', ENV.PENDING_DR6),
    u32('smbase', ENV.SMBASE),
    u64('tsc_offset', ENV.MSR_TSC_OFFSET),
    u64('apic_base', ENV.MSR_APIC_BASE),
    u64('sysenter', ENV.MSR_SYSENTER_CS, 3),
    u64('efer', ENV.MSR_EFER),
    u64('syscall_msrs', ENV.MSR_STAR, 5),
    u64('pat', ENV.MSR_PAT),
    u64('tsc_aux', ENV.MSR_TSC_AUX),
    u64('misc_enable', ENV.MSR_MISC_ENABLE),
    u64('mcg_status', ENV.MSR_MCG_STATUS),
    u64('msr_extra', ENV.MSR_EXTRA, 32),
    u64('mtrr', ENV.MTRR, 28),
    u32('nmi_blocked', ENV.NMI_BLOCKED),
    u64('pdpte', ENV.PDPTE, 4),
    bytes('fpregs', ENV.FPREGS, 128),
    bytes('fptags', ENV.FPTAGS, 8),
    u32('fpus', ENV.FPUS),
    u32('fpuc', ENV.FPUC),
    u32('fop', ENV.FOP),
    u64('fip', ENV.FIP),
    u32('fcs', ENV.FCS),
    u64('fdp', ENV.FDP),
    u32('fds', ENV.FDS),
    u32('mxcsr', ENV.MXCSR),
    bytes('vectors', ENV.XMM, 32 * XMM_STRIDE),
    // in 64-bit code the high half of RIP, else the base of CS
    { ...u32('code_window', ENV.CS_BASE), since: 2 },
    { ...u64('xcr0', ENV.XCR0), since: 2 },
    { ...u32('pkru', ENV.PKRU), since: 2 },
    { ...u64('tsc_adjust', ENV.MSR_TSC_ADJUST), since: 2 },
    { ...u64('xss', ENV.MSR_XSS), since: 2 },
  ],
};

const WIDTH: Readonly<Record<VmFieldKind, number>> = { u8: 1, u32: 4, u64: 8, bytes: 1 };
const fieldBytes = (f: VmField): number => WIDTH[f.kind] * f.count;
const HEADER_BYTES = 4;

const fieldsOf = (version: number): readonly VmField[] => X86_VMSTATE.fields.filter((f) => (f.since ?? 1) <= version);

/** Bytes of a saved state: a version dword and the fields in table order. */
export const x86StateBytes = (version = X86_VMSTATE.version): number =>
  fieldsOf(version).reduce((n, f) => n + fieldBytes(f), HEADER_BYTES);

export function saveX86State(cpu: X86Cpu): Uint8Array {
  const out = new Uint8Array(x86StateBytes());
  new DataView(out.buffer).setUint32(0, X86_VMSTATE.version, true);
  let at = HEADER_BYTES;
  for (const f of X86_VMSTATE.fields) {
    out.set(cpu.e8.subarray(f.offset, f.offset + fieldBytes(f)), at);
    at += fieldBytes(f);
  }
  return out;
}

/** Fields whose values have limits: a mask of bits that may be set, or a list of values. */
const MASKS: Readonly<Record<string, number>> = {
  eflags: 0x003f_f702,
  inhibit_irq: 3,
  halted: 1,
  nmi_blocked: 1,
  gdt_limit: 0xffff,
  idt_limit: 0xffff,
  fpuc: 0xffff,
  fpus: 0xc7ff,
  mxcsr: 0xffff,
  pending_dr6: 0xe00f,
};
/** One more than the greatest CC_OP: 11 kinds of 4 widths, and EFLAGS. */
const CC_OP_END = 1 + 11 * 4;
const A20_VALUES = [0xffffffff, 0xffefffff];
/** HFLAGS bits that are state and not derived. */
const HFLAGS_STATE = HF_CPL | HF_TOP | HF_INHIBIT_IRQ;

function check(name: string, v: number): void {
  const fail = (why: string): never => {
    throw new VmStateError(`x86-cpu.${name}: 0x${v.toString(16)} ${why}`);
  };
  if (Object.hasOwn(MASKS, name) && (v & ~MASKS[name]) !== 0) fail('has bits that no processor sets');
  if (name === 'cc_op' && v >= CC_OP_END) fail('is no flag operation');
  if (name === 'a20_mask' && !A20_VALUES.includes(v)) fail('is no A20 mask');
}

/** Bits of EFER that exist. SCE, LME, LMA, NXE. */
const EFER_BITS = 0xd01;
/** State components that XCR0 can enable here. */
const XCR0_BITS = 0x207;

/** What several fields say together: mode bits that agree, addresses that the processor would have refused. */
function checkMode(cpu: X86Cpu, get: (envOffset: number) => number): void {
  const fail = (why: string): never => {
    throw new VmStateError(`x86-cpu: ${why}`);
  };
  const efer = get(ENV.MSR_EFER);
  if ((efer & ~EFER_BITS) !== 0 || get(ENV.MSR_EFER + 4) !== 0) fail('EFER has bits that no processor sets');
  if ((get(ENV.XCR0) & ~XCR0_BITS) !== 0 || get(ENV.XCR0 + 4) !== 0) fail('XCR0 has bits that no processor sets');
  const active = (get(ENV.CR) & CR0_PG) !== 0 && (efer & EFER_LME) !== 0;
  if (active !== ((efer & EFER_LMA) !== 0)) fail('EFER.LMA does not agree with EFER.LME and CR0.PG');
  if (!active) return;
  if ((get(ENV.CR + 32) & CR4_PAE) === 0) fail('long mode without CR4.PAE');
  const code64 = (get(ENV.SEG + CS * SEG_STRIDE + SEG_FLAGS) & DESC_L) !== 0;
  if ((get(ENV.CR + 32) & CR4_LA57) !== 0 && (cpu.features.ecx7 & F_LA57) === 0)
    fail('five-level paging, which this processor does not have');
  const numbers = new LinearNumbers((cpu.features.ecx7 & F_LA57) !== 0);
  numbers.setWide((get(ENV.CR + 32) & CR4_LA57) !== 0);
  if (code64 && !numbers.canonicalHigh(get(ENV.CS_BASE) | 0)) fail('RIP is not canonical');
  const bases = [ENV.GDT_BASE, ENV.IDT_BASE, ENV.LDTR + SEG_BASE, ENV.TR + SEG_BASE];
  for (let seg = 0; seg < 6; seg++) bases.push(ENV.SEG + seg * SEG_STRIDE + SEG_BASE);
  for (const at of bases)
    if (!numbers.canonicalBase(get(at + 4) | 0)) fail('the base of a segment or table is not canonical');
}

/** Replaces the state of `cpu`. Throws VmStateError with nothing changed if `data` is not acceptable. */
export function loadX86State(cpu: X86Cpu, data: Uint8Array): void {
  const copy = data.slice();
  const view = new DataView(copy.buffer);
  if (data.length < HEADER_BYTES) throw new VmStateError(`x86-cpu: ${data.length} bytes, expected more`);
  const version = view.getUint32(0, true);
  if (version < 1 || version > X86_VMSTATE.version)
    throw new VmStateError(`x86-cpu: version ${version}, expected ${X86_VMSTATE.version}`);
  const size = x86StateBytes(version);
  if (data.length !== size) throw new VmStateError(`x86-cpu: ${data.length} bytes, expected ${size}`);
  const fields = fieldsOf(version);
  let at = HEADER_BYTES;
  const places = new Map<number, number>();
  for (const f of fields) {
    if (f.kind === 'u32') for (let i = 0; i < f.count; i++) check(f.name, view.getUint32(at + 4 * i, true));
    for (let i = 0; i + 4 <= fieldBytes(f); i += 4) places.set(f.offset + i, at + i);
    at += fieldBytes(f);
  }
  checkMode(cpu, (offset) => {
    const place = places.get(offset);
    return place === undefined ? 0 : view.getUint32(place, true);
  });
  for (const f of X86_VMSTATE.fields) cpu.e8.fill(0, f.offset, f.offset + fieldBytes(f));
  at = HEADER_BYTES;
  for (const f of fields) {
    cpu.e8.set(copy.subarray(at, at + fieldBytes(f)), f.offset);
    at += fieldBytes(f);
  }
  if (version < 2) cpu.setEnv32(ENV.XCR0, XCR0_X87);
  cpu.hflags &= HFLAGS_STATE;
  const window = cpu.env32(ENV.CS_BASE);
  cpu.afterLoad();
  cpu.setEnv32(ENV.CS_BASE, cpu.code64 ? window : cpu.segBase(CS));
}
