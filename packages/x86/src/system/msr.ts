/**
 * Model-specific registers: RDMSR, WRMSR, reset values. An MSR that is not listed is #GP(0), as on hardware: kernels
 * probe with a guarded access. SDM Vol. 4, Tables 2-2 "IA-32 Architectural MSRs" and 2-53 "MSRs in the P6 Family".
 * 64-bit values travel as two dwords. MTRRs: memory-type.ts; what is more than storage with checks: msr-special.ts.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  F_APIC,
  F_LM,
  F_MCA,
  F_MTRR,
  F_NX,
  F_PAT,
  F_RDPID,
  F_RDTSCP,
  F_SEP,
  F_SYSCALL,
  F_TSC,
  F_XSAVES,
} from '../models/features.ts';
import { EAX, ECX, EDX, ENV, EXC, FS, GS, SEG_BASE, SEG_STRIDE } from '../state.ts';
import { mtrrOffset, validMemoryTypes, validMtrr } from './memory-type.ts';
import { readSpecial, validApicBase, writeEfer, writeSpecial, writeTscMsr } from './msr-special.ts';
import { readTsc } from './time-stamp.ts';

const MSR_TSC = 0x10;
const MSR_PLATFORM_ID = 0x17;
const MSR_APIC_BASE = 0x1b;
const MSR_EBL_CR_POWERON = 0x2a;
const MSR_BIOS_UPDT_TRIG = 0x79;
const MSR_BIOS_SIGN_ID = 0x8b;
const MSR_MTRRCAP = 0xfe;
const MSR_BBL_CR_CTL = 0x119;
const MSR_SYSENTER_CS = 0x174;
const MSR_SYSENTER_ESP = 0x175;
const MSR_SYSENTER_EIP = 0x176;
const MSR_MCG_CAP = 0x179;
const MSR_MCG_STATUS = 0x17a;
const MSR_MCG_CTL = 0x17b;
const MSR_PERF_STATUS = 0x198;
const MSR_MISC_ENABLE = 0x1a0;
const MSR_DEBUGCTL = 0x1d9;
const MSR_PAT = 0x277;
const MSR_MC0_CTL = 0x400;
const MSR_EFER = 0xc0000080;
const MSR_STAR = 0xc0000081;
const MSR_LSTAR = 0xc0000082;
const MSR_CSTAR = 0xc0000083;
const MSR_FMASK = 0xc0000084;
const MSR_FS_BASE = 0xc0000100;
const MSR_GS_BASE = 0xc0000101;
const MSR_KERNEL_GS_BASE = 0xc0000102;
const MSR_TSC_AUX = 0xc0000103;
const MSR_XSS = 0xda0;
/** AMD: system, hardware and decoder configuration, interrupt pending message, of which nothing has an effect. APM Vol. 2 Appendix A. */
const MSR_SYSCFG = 0xc0010010;
const MSR_HWCR = 0xc0010015;
const MSR_INT_PENDING = 0xc0010055;
const MSR_DE_CFG = 0xc0011029;

/** Machine-check banks; IA32_MCG_CAP: count, MCG_CTL present. */
export const MCE_BANKS = 10;
const MCG_CTL_P = 1 << 8;
const MTRR_COUNT = 8;
/** MTRRcap: WC supported, fixed ranges, count. */
const MTRRCAP = 0x500 | MTRR_COUNT;

/** Slots of ENV.MSR_EXTRA: MCi_CTL of each bank, then these. */
const SLOT_MCG_CTL = 10;
const SLOT_DEBUGCTL = 11;
const SLOT_UCODE_HIGH = 12;
const SLOT_EBL_CR_POWERON = 13;
const SLOT_BBL_CR_CTL = 14;
const SLOT_EVENT_SELECT = 16; // 16-17; 18: msr-special.ts
const SLOT_SYSCFG = 19;
const SLOT_HWCR = 20;
const SLOT_DE_CFG = 21;
const SLOT_INT_PENDING = 22;
const MSR_PERFCTR0 = 0xc1;
const MSR_EVNTSEL0 = 0x186;

const APIC_BASE_BSP = 1 << 8;
const APIC_BASE_ENABLE = 1 << 11;
/** Reset: 0xfee00000, enabled, bootstrap processor. SDM Vol. 3A §10.4.4. */
const APIC_BASE_RESET = 0xfee00000 | APIC_BASE_ENABLE | APIC_BASE_BSP;
/** PA0-PA7: WB WT UC- UC WB WT UC- UC. SDM Vol. 3A Table 11-12. */
const PAT_RESET = 0x00070406;
/** Fast-strings enable. */
const MISC_ENABLE_RESET = 1;

export function resetMsrs(cpu: X86Cpu): void {
  const e = cpu.e32;
  if ((cpu.features.edx1 & F_APIC) !== 0) e[ENV.MSR_APIC_BASE >> 2] = APIC_BASE_RESET;
  e[ENV.MSR_PAT >> 2] = PAT_RESET;
  e[(ENV.MSR_PAT >> 2) + 1] = PAT_RESET;
  e[ENV.MSR_MISC_ENABLE >> 2] = MISC_ENABLE_RESET;
}

const slot = (n: number): number => ENV.MSR_EXTRA + n * 8;

const isAmd = (cpu: X86Cpu): boolean => cpu.model.vendor === 'AuthenticAMD' || cpu.model.vendor === 'HygonGenuine';

/** Byte offset in env of an MSR that is plain storage, or -1. */
function storage(cpu: X86Cpu, msr: number): number {
  const { edx1, edxExt, ecx7, eaxD1 } = cpu.features;
  const long = (edxExt & F_LM) !== 0;
  switch (msr) {
    case MSR_LSTAR:
      return long ? ENV.MSR_LSTAR : -1;
    case MSR_CSTAR:
      return long ? ENV.MSR_CSTAR : -1;
    case MSR_FMASK:
      return long ? ENV.MSR_FMASK : -1;
    case MSR_FS_BASE:
      return long ? ENV.SEG + FS * SEG_STRIDE + SEG_BASE : -1;
    case MSR_GS_BASE:
      return long ? ENV.SEG + GS * SEG_STRIDE + SEG_BASE : -1;
    case MSR_KERNEL_GS_BASE:
      return long ? ENV.MSR_KERNEL_GS_BASE : -1;
    case MSR_XSS:
      return (eaxD1 & F_XSAVES) !== 0 ? ENV.MSR_XSS : -1;
    case MSR_SYSCFG:
      return isAmd(cpu) ? slot(SLOT_SYSCFG) : -1;
    case MSR_HWCR:
      return isAmd(cpu) ? slot(SLOT_HWCR) : -1;
    case MSR_INT_PENDING:
      return isAmd(cpu) ? slot(SLOT_INT_PENDING) : -1;
    case MSR_DE_CFG:
      return isAmd(cpu) ? slot(SLOT_DE_CFG) : -1;
    case MSR_APIC_BASE:
      return (edx1 & F_APIC) !== 0 ? ENV.MSR_APIC_BASE : -1;
    case MSR_SYSENTER_CS:
      return (edx1 & F_SEP) !== 0 ? ENV.MSR_SYSENTER_CS : -1;
    case MSR_SYSENTER_ESP:
      return (edx1 & F_SEP) !== 0 ? ENV.MSR_SYSENTER_ESP : -1;
    case MSR_SYSENTER_EIP:
      return (edx1 & F_SEP) !== 0 ? ENV.MSR_SYSENTER_EIP : -1;
    case MSR_PAT:
      return (edx1 & F_PAT) !== 0 ? ENV.MSR_PAT : -1;
    case MSR_EFER:
      return (edxExt & (F_NX | F_SYSCALL | F_LM)) !== 0 ? ENV.MSR_EFER : -1;
    case MSR_STAR:
      return (edxExt & F_SYSCALL) !== 0 ? ENV.MSR_STAR : -1;
    case MSR_TSC_AUX:
      return (edxExt & F_RDTSCP) !== 0 || (ecx7 & F_RDPID) !== 0 ? ENV.MSR_TSC_AUX : -1;
    case MSR_MISC_ENABLE:
      return ENV.MSR_MISC_ENABLE;
    case MSR_MCG_STATUS:
      return (edx1 & F_MCA) !== 0 ? ENV.MSR_MCG_STATUS : -1;
    case MSR_MCG_CTL:
      return (edx1 & F_MCA) !== 0 ? slot(SLOT_MCG_CTL) : -1;
    case MSR_DEBUGCTL:
      return slot(SLOT_DEBUGCTL);
    case MSR_EBL_CR_POWERON:
      return slot(SLOT_EBL_CR_POWERON);
    case MSR_BBL_CR_CTL:
      return slot(SLOT_BBL_CR_CTL);
    case MSR_BIOS_SIGN_ID:
      return slot(SLOT_UCODE_HIGH);
    case MSR_EVNTSEL0:
    case MSR_EVNTSEL0 + 1:
      return slot(SLOT_EVENT_SELECT + msr - MSR_EVNTSEL0);
    default:
      return (edx1 & F_MTRR) !== 0 ? mtrrOffset(msr) : -1;
  }
}

function readResult(cpu: X86Cpu, low: number, high: number): number {
  cpu.setReg(EAX, low);
  cpu.setReg(EDX, high);
  return 0;
}

export function rdmsr(cpu: X86Cpu): number {
  const msr = cpu.reg(ECX);
  const { edx1 } = cpu.features;
  const at = storage(cpu, msr);
  if (at >= 0) return readResult(cpu, cpu.env32(at), cpu.env32(at + 4));
  if (msr === MSR_TSC && (edx1 & F_TSC) !== 0) {
    readTsc(cpu);
    return 0;
  }
  if (msr === MSR_MTRRCAP && (edx1 & F_MTRR) !== 0) return readResult(cpu, MTRRCAP, 0);
  if (msr === MSR_MCG_CAP && (edx1 & F_MCA) !== 0) return readResult(cpu, MCE_BANKS | MCG_CTL_P, 0);
  if (msr === MSR_PLATFORM_ID || msr === MSR_PERF_STATUS || msr === MSR_BIOS_UPDT_TRIG) return readResult(cpu, 0, 0);
  if (isPerfCounter(msr)) return readResult(cpu, 0, 0);
  if (isBank(cpu, msr)) {
    if ((msr & 3) !== 0) return readResult(cpu, 0, 0); // no errors: STATUS, ADDR, MISC are empty
    const bank = slot((msr - MSR_MC0_CTL) >> 2);
    return readResult(cpu, cpu.env32(bank), cpu.env32(bank + 4));
  }
  if (!readSpecial(cpu, msr)) cpu.raise(EXC.GP, 0);
  return 0;
}

const isBank = (cpu: X86Cpu, msr: number): boolean =>
  (cpu.features.edx1 & F_MCA) !== 0 && msr >= MSR_MC0_CTL && msr < MSR_MC0_CTL + 4 * MCE_BANKS;

/** Nothing is counted: they stay at zero, by which an operating system sees that there are none. */
const isPerfCounter = (msr: number): boolean => msr === MSR_PERFCTR0 || msr === MSR_PERFCTR0 + 1;

export function wrmsr(cpu: X86Cpu): number {
  const msr = cpu.reg(ECX);
  const low = cpu.reg(EAX);
  const high = cpu.reg(EDX);
  if (msr === MSR_TSC && (cpu.features.edx1 & F_TSC) !== 0) {
    writeTscMsr(cpu, low, high);
    return 0;
  }
  if (isPerfCounter(msr)) return 0;
  if (msr === MSR_BIOS_UPDT_TRIG) return 0; // a microcode update is accepted and changes nothing
  if (msr === MSR_EFER) return writeEfer(cpu, low, high);
  if (isBank(cpu, msr)) {
    if ((msr & 3) === 0) {
      const bank = slot((msr - MSR_MC0_CTL) >> 2);
      cpu.setEnv32(bank, low);
      cpu.setEnv32(bank + 4, high);
    } else if ((low | high) !== 0) cpu.raise(EXC.GP, 0); // only all zeros may be written. SDM Vol. 3B §16.3.2.2
    return 0;
  }
  const at = storage(cpu, msr);
  if (at < 0) return writeSpecial(cpu, msr, low, high);
  if (!validWrite(cpu, msr, low, high)) cpu.raise(EXC.GP, 0);
  cpu.setEnv32(at, low);
  cpu.setEnv32(at + 4, high);
  if (msr === MSR_APIC_BASE) cpu.host.apicBaseChanged?.(low);
  return 0;
}

function validWrite(cpu: X86Cpu, msr: number, low: number, high: number): boolean {
  switch (msr) {
    case MSR_PAT:
      return validMemoryTypes(low, true) && validMemoryTypes(high, true);
    case MSR_APIC_BASE:
      return validApicBase(cpu, low, high);
    case MSR_XSS:
      return (low | high) === 0;
    case MSR_FMASK:
    case MSR_TSC_AUX:
    case MSR_MCG_STATUS:
      return high === 0;
    // Addresses: canonical where there is long mode. SDM Vol. 4 §2.1, Vol. 2B "WRMSR".
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
      return (cpu.features.edxExt & F_LM) === 0 || cpu.linear.canonicalBase(high);
    default:
      return validMtrr(msr, low, high, cpu.pteHighMask);
  }
}
