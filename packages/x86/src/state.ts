/**
 * The one declared layout of x86 CPU state ("env") in linear memory: translator, helpers, debugger, VMState and other
 * accelerators all use this table. Offsets are bytes from the env base; everything is little-endian.
 * General registers are 64-bit slots; in 16- and 32-bit modes only the low half is meaningful.
 */
import { I32, I64, V128 } from '@emkit/ir';
import type { GlobalDef } from '@emkit/ir';

/** Byte offsets of env. Arrays: base and stride are given where an element is not alone. */
export const ENV = {
  /** 16 general registers, 8 bytes each: rax rcx rdx rbx rsp rbp rsi rdi r8..r15. */
  GPR: 0x000,
  /** Instruction pointer (offset in CS); in 64-bit code its low half. 4 bytes. Written by block exits and helpers only. */
  EIP: 0x080,
  /**
   * What blocks are keyed by besides EIP and HFLAGS, 4 bytes: the base of CS (copy of SEG[CS].base), or in 64-bit code, where that is 0, the
   * **high half of RIP**. The dispatcher never needs to know which. docs/adr/0015.
   */
  CS_BASE: 0x088,
  /** Block flags: everything a translated block depends on (HF_*). Kept by `updateHflags`. */
  HFLAGS: 0x090,
  /** Lazy arithmetic flags: kind of the last flag-setting operation (CC_*), see flags.ts. */
  CC_OP: 0x094,
  CC_DST: 0x098,
  CC_SRC: 0x0a0,
  CC_SRC2: 0x0a8,
  /** EFLAGS without CF PF AF ZF SF OF (those are lazy); DF, TF, IF, IOPL, NT, RF, VM, AC, VIF, VIP, ID here. */
  EFLAGS: 0x0b0,
  /** Segment registers ES CS SS DS FS GS, stride SEG_STRIDE, fields SEG_*. */
  SEG: 0x0c0,
  LDTR: 0x180,
  TR: 0x1a0,
  GDT_BASE: 0x1c0,
  GDT_LIMIT: 0x1c8,
  IDT_BASE: 0x1d0,
  IDT_LIMIT: 0x1d8,
  /** CR0..CR4, CR8: 8 bytes each at CR + 8 * n. */
  CR: 0x1e0,
  /** DR0..DR7, 8 bytes each. */
  DR: 0x230,
  /** 1: the next block boundary must not take an interrupt (shadow of STI, MOV SS, POP SS). Mirrored in HF_INHIBIT_IRQ. */
  INHIBIT_IRQ: 0x270,
  /** 1: halted by HLT, waiting for an interrupt. */
  HALTED: 0x274,
  /** A20 mask of physical addresses: 0xffffffff or 0xffefffff. */
  A20_MASK: 0x278,
  /** Exception being raised: vector, error code (-1: none), and 1 when the next delivery is nested. */
  EXCEPTION_VECTOR: 0x27c,
  EXCEPTION_ERROR: 0x280,
  EXCEPTION_OLD: 0x284,
  /** Exception and software-interrupt extras (DR6 bits pending, and so on). */
  PENDING_DR6: 0x288,
  SMBASE: 0x28c,
  /** MSRs by name, 8 bytes each. */
  MSR_TSC_OFFSET: 0x290,
  MSR_APIC_BASE: 0x298,
  MSR_SYSENTER_CS: 0x2a0,
  MSR_SYSENTER_ESP: 0x2a8,
  MSR_SYSENTER_EIP: 0x2b0,
  MSR_EFER: 0x2b8,
  MSR_STAR: 0x2c0,
  MSR_LSTAR: 0x2c8,
  MSR_CSTAR: 0x2d0,
  MSR_FMASK: 0x2d8,
  MSR_KERNEL_GS_BASE: 0x2e0,
  MSR_PAT: 0x2e8,
  MSR_TSC_AUX: 0x2f0,
  MSR_MISC_ENABLE: 0x2f8,
  MSR_MCG_STATUS: 0x300,
  /** Further MSRs the system part wants to keep: up to 32 slots of 8 bytes, and the MTRR block. */
  MSR_EXTRA: 0x310,
  MTRR: 0x410,
  /** 1: an NMI is being handled, further ones wait for IRET. */
  NMI_BLOCKED: 0x4f0,
  /** The four PDPTE registers of PAE paging, 8 bytes each. */
  PDPTE: 0x500,
  /** XCR0, 8 bytes; PKRU, 4 bytes (write it by `cpu.setPkru`); IA32_TSC_ADJUST and IA32_XSS, 8 bytes each. */
  XCR0: 0x520,
  PKRU: 0x528,
  MSR_TSC_ADJUST: 0x530,
  MSR_XSS: 0x538,
  /** x87: 8 physical registers of 16 bytes (10 used: significand u64, sign+exponent u16); MMX register i is the significand of physical register i. */
  FPREGS: 0x600,
  /** Empty tag of each physical register: one byte each, 1 = empty. */
  FPTAGS: 0x680,
  /** Status word without TOP (which lives in HFLAGS bits HF_TOP). */
  FPUS: 0x688,
  FPUC: 0x68c,
  FOP: 0x690,
  /** Last instruction and operand pointers: offset 8 bytes, selector 4. */
  FIP: 0x698,
  FCS: 0x6a0,
  FDP: 0x6a8,
  FDS: 0x6b0,
  MXCSR: 0x6b4,
  /** Scratch for helpers: 256 bytes, contents never survive an instruction. */
  SCRATCH: 0x700,
  /** 16 (room for 32) vector registers of 64 bytes: XMM in the first 16, YMM upper half next. */
  XMM: 0x800,
  SIZE: 0x1000,
} as const;

export const XMM_STRIDE = 64;
export const SEG_STRIDE = 32;
/** Fields of a segment register, from ENV.SEG + index * SEG_STRIDE (also of LDTR and TR). */
export const SEG_SELECTOR = 0;
/** Second dword of the descriptor (type, S, DPL, P, AVL, L, D/B, G at their descriptor positions). */
export const SEG_FLAGS = 4;
export const SEG_BASE = 8; // 8 bytes
/** Byte-granular effective limit, u32. */
export const SEG_LIMIT = 16;

export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;

export const EAX = 0;
export const ECX = 1;
export const EDX = 2;
export const EBX = 3;
export const ESP = 4;
export const EBP = 5;
export const ESI = 6;
export const EDI = 7;

/** Block flags (ENV.HFLAGS): a block translated under one value may run only under the same value. */
export const HF_CPL = 3; // bits 0-1
export const HF_CS32 = 1 << 2; // default operand and address size 32
export const HF_SS32 = 1 << 3; // stack address size 32
export const HF_CS64 = 1 << 4; // 64-bit code
export const HF_LMA = 1 << 5;
export const HF_PE = 1 << 6;
export const HF_VM = 1 << 7; // virtual-8086
export const HF_TF = 1 << 8; // single-step: one instruction a block, then #DB
export const HF_INHIBIT_IRQ = 1 << 9; // one instruction a block, then the shadow ends
export const HF_TS = 1 << 10;
export const HF_EM = 1 << 11;
export const HF_MP = 1 << 12;
export const HF_OSFXSR = 1 << 13;
/** MXCSR: everything masked, round to nearest, no FTZ/DAZ, and PE already sticky: plain f64/f32 arithmetic is exact in its flags unless a result or operand is special. */
export const HF_SSE_FAST = 1 << 14;
/** A base of DS, ES or SS is not 0 (CS has CS_BASE; FS and GS bases are always added). */
export const HF_ADDSEG = 1 << 15;
/** A limit or type of ES, CS, SS or DS needs a check on access (not a flat, present, writable 4 GiB segment). */
export const HF_SEGCHECK = 1 << 16;
export const HF_TOP_SHIFT = 17; // bits 17-19: x87 TOP
export const HF_TOP = 7 << HF_TOP_SHIFT;
/** FS or GS needs a limit/type check on access (null included). */
export const HF_FGCHECK = 1 << 20;
/** CR0.AM, EFLAGS.AC and CPL 3: alignment is checked. */
export const HF_ALIGN = 1 << 21;
/** DR7 enables an instruction breakpoint: check before each instruction, one instruction a block. */
export const HF_DEBUG = 1 << 22;
/** EFLAGS.RF: the next instruction takes no instruction breakpoint. One instruction a block, which clears it. */
export const HF_RF = 1 << 23;
/** An unmasked x87 exception is pending (FSW.ES): the next waiting x87 instruction faults. */
export const HF_FPU_ES = 1 << 24;
export const HF_OSXMMEXCPT = 1 << 25;
/** IOPL >= CPL (or real mode): CLI, STI, IN, OUT need no further check. */
export const HF_IOPL_OK = 1 << 26;
/** FCW leaves an x87 exception unmasked: x87 instructions finish in a helper that can leave operands and stack alone. */
export const HF_FPU_UNMASKED = 1 << 27;
/** CR4.OSXSAVE, and XCR0 has SSE and AVX: VEX-encoded instructions are allowed (protected mode only). */
export const HF_AVX = 1 << 28;
export const HF_LA57 = 1 << 29; // long mode with five-level paging: addresses have 57 bits

/** Registers that translated code keeps in locals. Index = position in this table. */
const gpr = (name: string, n: number): GlobalDef => ({ name, type: I32, offset: ENV.GPR + 8 * n });
export const GLOBALS_32: readonly GlobalDef[] = [
  gpr('eax', 0),
  gpr('ecx', 1),
  gpr('edx', 2),
  gpr('ebx', 3),
  gpr('esp', 4),
  gpr('ebp', 5),
  gpr('esi', 6),
  gpr('edi', 7),
  { name: 'cc_op', type: I32, offset: ENV.CC_OP },
  { name: 'cc_dst', type: I32, offset: ENV.CC_DST },
  { name: 'cc_src', type: I32, offset: ENV.CC_SRC },
  { name: 'cc_src2', type: I32, offset: ENV.CC_SRC2 },
  { name: 'eflags', type: I32, offset: ENV.EFLAGS },
  { name: 'hflags', type: I32, offset: ENV.HFLAGS },
  ...Array.from({ length: 8 }, (_, n): GlobalDef => ({
    name: `xmm${n}`,
    type: V128,
    offset: ENV.XMM + XMM_STRIDE * n,
  })),
];
/** The registers of a block of 64-bit code (HF_CS64). The same env slots, all of their width; see docs/adr/0015. */
const gpr64 = (name: string, n: number): GlobalDef => ({ name, type: I64, offset: ENV.GPR + 8 * n });
export const GLOBALS_64: readonly GlobalDef[] = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'].map(gpr64),
  { name: 'cc_op', type: I32, offset: ENV.CC_OP },
  { name: 'cc_dst', type: I64, offset: ENV.CC_DST },
  { name: 'cc_src', type: I64, offset: ENV.CC_SRC },
  { name: 'cc_src2', type: I64, offset: ENV.CC_SRC2 },
  { name: 'eflags', type: I32, offset: ENV.EFLAGS },
  { name: 'hflags', type: I32, offset: ENV.HFLAGS },
  ...Array.from({ length: 16 }, (_, n): GlobalDef => ({
    name: `xmm${n}`,
    type: V128,
    offset: ENV.XMM + XMM_STRIDE * n,
  })),
  ...[8, 9, 10, 11, 12, 13, 14, 15].map((n) => gpr64(`r${n}`, n)),
];
/** Index in GLOBALS_64 of general register n: 0-7 are globals 0-7, r8-r15 come last, so that `G` serves both tables. */
export const gprGlobal = (n: number): number => (n < 8 ? n : n + G_R8 - 8);
const G_R8 = 30;

/** Indices into GLOBALS_32 and GLOBALS_64. General registers 0-7 are globals 0-7; others: `gprGlobal`. */
export const G = { CC_OP: 8, CC_DST: 9, CC_SRC: 10, CC_SRC2: 11, EFLAGS: 12, HFLAGS: 13, XMM0: 14 } as const;

/** EFLAGS bits. SDM Vol. 1 §3.4.3 "EFLAGS Register". */
export const FLAG_CF = 1 << 0;
export const FLAG_PF = 1 << 2;
export const FLAG_AF = 1 << 4;
export const FLAG_ZF = 1 << 6;
export const FLAG_SF = 1 << 7;
export const FLAG_TF = 1 << 8;
export const FLAG_IF = 1 << 9;
export const FLAG_DF = 1 << 10;
export const FLAG_OF = 1 << 11;
export const FLAG_IOPL = 3 << 12;
export const FLAG_NT = 1 << 14;
export const FLAG_RF = 1 << 16;
export const FLAG_VM = 1 << 17;
export const FLAG_AC = 1 << 18;
export const FLAG_VIF = 1 << 19;
export const FLAG_VIP = 1 << 20;
export const FLAG_ID = 1 << 21;
/** The lazy ones. */
export const FLAGS_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;

/** Exception vectors. SDM Vol. 3A Table 6-1. */
export const EXC = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;
