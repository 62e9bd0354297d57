/**
 * What of a processor is saved, as data: name, byte offset in env, kind and count of each field; and save and load over
 * env. A saved state is accepted whole or not at all: length, version and each field's constraint are checked before
 * the first byte changes. Derived state (watchpoints, block flags, TLB) is rebuilt after a load.
 */
import type { X86Cpu } from './cpu.ts';
import { CS, ENV, HF_CPL, HF_INHIBIT_IRQ, HF_TOP, SEG_STRIDE, XMM_STRIDE } from './state.ts';

export type VmFieldKind = 'u8' | 'u32' | 'u64' | 'bytes';
export interface VmField {
  readonly name: string;
  /** Byte offset in env. */
  readonly offset: number;
  readonly kind: VmFieldKind;
  /** Elements (bytes for kind `bytes`). */
  readonly count: number;
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
  version: 1,
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
  ],
};

const WIDTH: Readonly<Record<VmFieldKind, number>> = { u8: 1, u32: 4, u64: 8, bytes: 1 };
const fieldBytes = (f: VmField): number => WIDTH[f.kind] * f.count;
const HEADER_BYTES = 4;

/** Bytes of a saved state: a version dword and the fields in table order. */
export const x86StateBytes = (): number => X86_VMSTATE.fields.reduce((n, f) => n + fieldBytes(f), HEADER_BYTES);

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

/** Replaces the state of `cpu`. Throws VmStateError with nothing changed if `data` is not acceptable. */
export function loadX86State(cpu: X86Cpu, data: Uint8Array): void {
  const size = x86StateBytes();
  if (data.length !== size) throw new VmStateError(`x86-cpu: ${data.length} bytes, expected ${size}`);
  const copy = data.slice();
  const view = new DataView(copy.buffer);
  const version = view.getUint32(0, true);
  if (version !== X86_VMSTATE.version)
    throw new VmStateError(`x86-cpu: version ${version}, expected ${X86_VMSTATE.version}`);
  let at = HEADER_BYTES;
  for (const f of X86_VMSTATE.fields) {
    if (f.kind === 'u32') for (let i = 0; i < f.count; i++) check(f.name, view.getUint32(at + 4 * i, true));
    at += fieldBytes(f);
  }
  at = HEADER_BYTES;
  for (const f of X86_VMSTATE.fields) {
    cpu.e8.set(copy.subarray(at, at + fieldBytes(f)), f.offset);
    at += fieldBytes(f);
  }
  cpu.hflags &= HFLAGS_STATE;
  cpu.setEnv32(ENV.CS_BASE, cpu.segBase(CS));
  cpu.afterLoad();
}
