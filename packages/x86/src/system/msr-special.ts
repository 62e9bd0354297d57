/**
 * MSRs that are more than storage: EFER, the local APIC's (base, x2APIC registers), TSC deadline and adjustment, what a
 * processor is not vulnerable to. SDM Vol. 4 Table 2-2, Vol. 3A §10.12 "Extended XAPIC (x2APIC)", §10.5.4.1
 * "TSC-Deadline Mode", §17.17.3 "Time-Stamp Counter Adjustment".
 */
import type { X86Cpu } from '../cpu.ts';
import { F_LM, F_NX, F_SYSCALL, F_TSC_ADJUST, F_TSC_DEADLINE, F_X2APIC } from '../models/features.ts';
import { EAX, EDX, ENV, EXC } from '../state.ts';
import { TWO32 } from './address.ts';
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from './cr-bits.ts';
import { writeTsc } from './time-stamp.ts';

const MSR_TSC_ADJUST = 0x3b;
const MSR_ARCH_CAPABILITIES = 0x10a;
const MSR_TSC_DEADLINE = 0x6e0;
const MSR_X2APIC = 0x800;
const MSR_X2APIC_END = 0x900;

/** Leaf 7.0 EDX: IA32_ARCH_CAPABILITIES exists. */
const F_ARCH_CAPABILITIES = 1 << 29;
/**
 * Nothing is executed speculatively here: RDCL_NO, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO,
 * FBSDP_NO, PSDP_NO. Operating systems then leave out their countermeasures.
 */
const ARCH_CAPABILITIES = 1 | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 6) | (1 << 8) | (7 << 13);

const APIC_BASE_X2APIC = 1 << 10;
const APIC_BASE_ENABLE = 1 << 11;
/** Bits 7:0 and 9. */
const APIC_BASE_RESERVED = 0x2ff;
/** The TSC deadline as written, in ENV.MSR_EXTRA. */
const DEADLINE = ENV.MSR_EXTRA + 18 * 8;

export function validApicBase(cpu: X86Cpu, low: number, high: number): boolean {
  if ((low & APIC_BASE_RESERVED) !== 0 || (high & ~cpu.pteHighMask) !== 0) return false;
  const mode = low & (APIC_BASE_X2APIC | APIC_BASE_ENABLE);
  const old = cpu.env32(ENV.MSR_APIC_BASE) & (APIC_BASE_X2APIC | APIC_BASE_ENABLE);
  if ((mode & APIC_BASE_X2APIC) === 0) {
    // From x2APIC mode there is only the way to disabled. SDM Vol. 3A Figure 10-27.
    return mode === 0 || (old & APIC_BASE_X2APIC) === 0;
  }
  return (cpu.features.ecx1 & F_X2APIC) !== 0 && (mode & APIC_BASE_ENABLE) !== 0 && old !== 0;
}

function result(cpu: X86Cpu, low: number, high: number): boolean {
  cpu.setReg(EAX, low);
  cpu.setReg(EDX, high);
  return true;
}

const inX2apic = (cpu: X86Cpu, msr: number): boolean =>
  msr >= MSR_X2APIC && msr < MSR_X2APIC_END && (cpu.env32(ENV.MSR_APIC_BASE) & APIC_BASE_X2APIC) !== 0;

/** RDMSR: EDX:EAX, or false for #GP(0). */
export function readSpecial(cpu: X86Cpu, msr: number): boolean {
  const f = cpu.features;
  if (msr === MSR_TSC_DEADLINE && (f.ecx1 & F_TSC_DEADLINE) !== 0) {
    const armed = cpu.host.tscDeadlineArmed?.() ?? false;
    return armed ? result(cpu, cpu.env32(DEADLINE), cpu.env32(DEADLINE + 4)) : result(cpu, 0, 0);
  }
  if (msr === MSR_TSC_ADJUST && (f.ebx7 & F_TSC_ADJUST) !== 0)
    return result(cpu, cpu.env32(ENV.MSR_TSC_ADJUST), cpu.env32(ENV.MSR_TSC_ADJUST + 4));
  if (msr === MSR_ARCH_CAPABILITIES && (f.edx7 & F_ARCH_CAPABILITIES) !== 0) return result(cpu, ARCH_CAPABILITIES, 0);
  if (inX2apic(cpu, msr)) {
    const out = cpu.x2apicResult;
    out[1] = 0;
    return cpu.host.x2apicRead?.(msr, out) === true && result(cpu, out[0], out[1]);
  }
  return false;
}

/** WRMSR of what is no storage; #GP(0) if there is no such MSR. */
export function writeSpecial(cpu: X86Cpu, msr: number, low: number, high: number): number {
  const f = cpu.features;
  if (msr === MSR_TSC_DEADLINE && (f.ecx1 & F_TSC_DEADLINE) !== 0) {
    cpu.setEnv64(DEADLINE, low, high);
    armDeadline(cpu);
    return 0;
  }
  if (msr === MSR_TSC_ADJUST && (f.ebx7 & F_TSC_ADJUST) !== 0) {
    writeAdjust(cpu, low, high);
    return 0;
  }
  if (inX2apic(cpu, msr) && cpu.host.x2apicWrite?.(msr, low, high) === true) return 0;
  cpu.raise(EXC.GP, 0);
}

function armDeadline(cpu: X86Cpu): void {
  const low = cpu.env32(DEADLINE);
  const high = cpu.env32(DEADLINE + 4);
  cpu.host.setTscDeadline?.((low | high) === 0 ? 0 : hostTicks(cpu, low, high));
}

/** The counter has been set: a deadline is a value of it, not a time. */
function counterMoved(cpu: X86Cpu): void {
  if (cpu.host.tscDeadlineArmed?.() === true) armDeadline(cpu);
}

/** A count of the guest's counter as one of the host's: 1 if it is over already, at most the greatest exact one. */
function hostTicks(cpu: X86Cpu, low: number, high: number): number {
  const ticks = cpu.host.tsc();
  const offset = ENV.MSR_TSC_OFFSET >> 2;
  const nowLow = (ticks % TWO32) + cpu.e32[offset];
  const nowHigh = (Math.floor(ticks / TWO32) + cpu.e32[offset + 1] + (nowLow >= TWO32 ? 1 : 0)) >>> 0;
  const ahead = (high - nowHigh) * TWO32 + (low - (nowLow % TWO32));
  return ahead <= 0 ? 1 : Math.min(ticks + ahead, Number.MAX_SAFE_INTEGER);
}

/** What is added to the adjustment is added to the counter: to its offset. */
function writeAdjust(cpu: X86Cpu, low: number, high: number): void {
  const offset = ENV.MSR_TSC_OFFSET;
  const at = ENV.MSR_TSC_ADJUST;
  const changed = low - cpu.env32(at);
  const sum = cpu.env32(offset) + (changed >>> 0);
  const changedHigh = high - cpu.env32(at + 4) - (changed < 0 ? 1 : 0);
  cpu.setEnv64(offset, sum, cpu.env32(offset + 4) + changedHigh + (sum >= TWO32 ? 1 : 0));
  cpu.setEnv64(at, low, high);
  counterMoved(cpu);
}

/** A write of the counter goes into the adjustment too. */
export function writeTscMsr(cpu: X86Cpu, low: number, high: number): void {
  const before = cpu.env32(ENV.MSR_TSC_OFFSET);
  const beforeHigh = cpu.env32(ENV.MSR_TSC_OFFSET + 4);
  writeTsc(cpu, low, high);
  const changed = cpu.env32(ENV.MSR_TSC_OFFSET) - before;
  const sum = cpu.env32(ENV.MSR_TSC_ADJUST) + (changed >>> 0);
  const changedHigh = cpu.env32(ENV.MSR_TSC_OFFSET + 4) - beforeHigh - (changed < 0 ? 1 : 0);
  const carry = sum >= TWO32 ? 1 : 0;
  cpu.setEnv64(ENV.MSR_TSC_ADJUST, sum, cpu.env32(ENV.MSR_TSC_ADJUST + 4) + changedHigh + carry);
  counterMoved(cpu);
}

/** LMA is the processor's: what is written to it is ignored. LME cannot change while paging is on. SDM Vol. 3A §2.2.1. */
export function writeEfer(cpu: X86Cpu, low: number, high: number): number {
  const { edxExt } = cpu.features;
  const known =
    ((edxExt & F_NX) !== 0 ? EFER_NXE : 0) |
    ((edxExt & F_SYSCALL) !== 0 ? EFER_SCE : 0) |
    ((edxExt & F_LM) !== 0 ? EFER_LME | EFER_LMA : 0);
  if ((low & ~known) !== 0 || high !== 0 || known === 0) cpu.raise(EXC.GP, 0);
  const old = cpu.env32(ENV.MSR_EFER);
  const paging = (cpu.cr(0) & CR0_PG) !== 0;
  if (((low ^ old) & EFER_LME) !== 0 && paging) cpu.raise(EXC.GP, 0);
  cpu.setEnv32(ENV.MSR_EFER, (low & ~EFER_LMA) | (old & EFER_LMA));
  if (((low ^ old) & EFER_NXE) !== 0 && paging) cpu.host.flushTlb(true);
  return 0;
}
