/**
 * CPUID leaves out of a model: a pure function of (model, leaf, subleaf) and the little state that shows through.
 * SDM Vol. 2A "CPUID". Beyond the highest basic leaf the highest one answers, as on Intel processors.
 * The hypervisor leaves carry a signature of our own: no kernel takes paravirtual interfaces from it.
 */
import {
  F_APIC,
  F_CLFLUSH,
  F_HYPERVISOR,
  F_LM,
  F_MONITOR,
  F_OSPKE,
  F_OSXSAVE,
  F_LA57,
  F_PAE,
  F_PKU,
  F_PSE36,
  F_SYSCALL,
  F_XSAVE,
  F_XSAVEC,
} from './features.ts';
import type { CacheInfo, CpuModel } from './model.ts';
import { XSAVE_COMPONENTS, xcr0Supported, xsaveCompactedSize, xsaveSize } from './xsave-layout.ts';

/** What of the processor's state shows in CPUID. */
export interface CpuidState {
  readonly apicId: number;
  /** CPUID runs in 64-bit code: elsewhere Intel's processors do not show SYSCALL. SDM Vol. 2A Table 3-8, 80000001H. */
  readonly code64: boolean;
  /** IA32_APIC_BASE.EN: clear hides the APIC feature bit. */
  readonly apicEnabled: boolean;
  /** CR4: OSXSAVE and PKE show through. */
  readonly cr4: number;
  /** XCR0: the size of what it enables is told. */
  readonly xcr0: number;
}
const CR4_OSXSAVE = 1 << 18;
const CR4_PKE = 1 << 22;
/** Bits 0-9, 12-17, 23 and 24 of leaf 1 EDX that AMD repeats in 8000_0001 EDX. AMD APM Vol. 3, Fn8000_0001_EDX. */
const AMD_REPEATED = 0x0183f3ff;
/** Bits of linear addresses in long mode, and of physical ones. */
const LINEAR_BITS = 48;
const LINEAR_BITS_5_LEVEL = 57;
const PHYSICAL_BITS = 40;

export const HYPERVISOR_SIGNATURE = 'emkitemkitem';
const BRAND_LENGTH = 48;

function dword(text: string, at: number): number {
  let v = 0;
  for (let i = 3; i >= 0; i--) v = (v << 8) | (at + i < text.length ? text.charCodeAt(at + i) & 0xff : 0);
  return v;
}

/** Fills out[0..3] = EAX, EBX, ECX, EDX. */
export function cpuidLeaf(model: CpuModel, leaf: number, subleaf: number, state: CpuidState, out: Uint32Array): void {
  out.fill(0);
  leaf >>>= 0;
  if (leaf >= 0x40000000 && leaf <= 0x4000ffff && (model.features.ecx1 & F_HYPERVISOR) !== 0) {
    if (leaf > 0x40000001) leaf = 0x40000001;
    if (leaf === 0x40000000)
      out.set([
        0x40000001,
        dword(HYPERVISOR_SIGNATURE, 0),
        dword(HYPERVISOR_SIGNATURE, 4),
        dword(HYPERVISOR_SIGNATURE, 8),
      ]);
    return;
  }
  if (leaf >= 0x80000000 && leaf <= model.maxExtendedLeaf) {
    extendedLeaf(model, leaf, subleaf, state, out);
    return;
  }
  basicLeaf(model, leaf > model.maxLeaf ? model.maxLeaf : leaf, subleaf, state, out);
}

function basicLeaf(model: CpuModel, leaf: number, subleaf: number, state: CpuidState, out: Uint32Array): void {
  const f = model.features;
  switch (leaf) {
    case 0:
      out[0] = model.maxLeaf;
      basicLeafVendor(model, out);
      return;
    case 1:
      out[0] = model.signature;
      // EBX: APIC id, one logical processor, CLFLUSH line in 8-byte units.
      out[1] = (state.apicId << 24) | ((f.edx1 & F_CLFLUSH) !== 0 ? 8 << 8 : 0);
      out[2] = (f.ecx1 & F_XSAVE) !== 0 && (state.cr4 & CR4_OSXSAVE) !== 0 ? f.ecx1 | F_OSXSAVE : f.ecx1;
      out[3] = state.apicEnabled ? f.edx1 : f.edx1 & ~F_APIC;
      return;
    case 2:
      out.set(model.leaf2);
      return;
    case 4:
      if (subleaf < model.caches.length) cacheLeaf(model.caches[subleaf], out);
      return;
    case 5:
      // Monitor line 64 bytes; MWAIT extensions enumerated, interrupt break-event supported.
      if ((f.ecx1 & F_MONITOR) !== 0) out.set([64, 64, 3, 0]);
      return;
    case 6:
      out[0] = f.eax6;
      return;
    case 7:
      if (subleaf === 0) {
        out[0] = f.eax71 !== 0 ? 1 : 0; // last subleaf
        out[1] = f.ebx7;
        out[2] = (f.ecx7 & F_PKU) !== 0 && (state.cr4 & CR4_PKE) !== 0 ? f.ecx7 | F_OSPKE : f.ecx7;
        out[3] = f.edx7;
      } else if (subleaf === 1) out[0] = f.eax71;
      return;
    case 0xb:
      // One thread, one core: SMT level, core level, then the end of the list.
      out[2] = (subleaf & 0xff) | (subleaf === 0 ? 1 << 8 : subleaf === 1 ? 2 << 8 : 0);
      if (subleaf < 2) out[1] = 1;
      out[3] = state.apicId;
      return;
    case 0xd:
      if ((f.ecx1 & F_XSAVE) !== 0) xsaveLeaf(model, subleaf, state, out);
      return;
    default:
  }
}

function basicLeafVendor(model: CpuModel, out: Uint32Array): void {
  out[1] = dword(model.vendor, 0);
  out[2] = dword(model.vendor, 8);
  out[3] = dword(model.vendor, 4);
}

function cacheLeaf(c: CacheInfo, out: Uint32Array): void {
  out[0] = c.type | (c.level << 5) | (1 << 8); // self-initialising, one core
  out[1] = (c.lineSize - 1) | ((c.ways - 1) << 22);
  out[2] = c.sets - 1;
  out[3] = 0;
}

/** SDM Vol. 2A, CPUID, "INPUT EAX = 0DH"; Vol. 1 §13.2 "Enumeration of CPU Support for XSAVE Instructions". */
function xsaveLeaf(model: CpuModel, subleaf: number, state: CpuidState, out: Uint32Array): void {
  const f = model.features;
  const supported = xcr0Supported(f);
  if (subleaf === 0) {
    out[0] = supported;
    out[1] = xsaveSize(state.xcr0);
    out[2] = xsaveSize(supported);
  } else if (subleaf === 1) {
    out[0] = f.eaxD1;
    if ((f.eaxD1 & F_XSAVEC) !== 0) out[1] = xsaveCompactedSize(state.xcr0);
  } else {
    const component = XSAVE_COMPONENTS.find((c) => c.bit === subleaf && ((supported >>> c.bit) & 1) !== 0);
    if (component === undefined) return;
    out[0] = component.size;
    out[1] = component.offset;
  }
}

const isAmd = (model: CpuModel): boolean => model.vendor === 'AuthenticAMD' || model.vendor === 'HygonGenuine';

function extendedLeaf(model: CpuModel, leaf: number, subleaf: number, state: CpuidState, out: Uint32Array): void {
  const f = model.features;
  switch (leaf) {
    case 0x80000000:
      out[0] = model.maxExtendedLeaf;
      if (isAmd(model)) basicLeafVendor(model, out);
      return;
    case 0x80000001:
      if (isAmd(model)) out[0] = model.signature;
      out[2] = f.ecxExt;
      out[3] = f.edxExt | (isAmd(model) ? f.edx1 & AMD_REPEATED : 0);
      if (!state.code64 && model.vendor === 'GenuineIntel') out[3] &= ~F_SYSCALL;
      return;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const at = (leaf - 0x80000002) * 16;
      const brand = model.brand.slice(0, BRAND_LENGTH - 1);
      for (let i = 0; i < 4; i++) out[i] = dword(brand, at + 4 * i);
      return;
    }
    case 0x80000005:
      if (isAmd(model)) amdLevel1(model, out);
      return;
    case 0x80000006: {
      const l2 = model.caches.find((c) => c.level === 2);
      const l3 = model.caches.find((c) => c.level === 3);
      if (l2 !== undefined)
        out[2] = (kib(l2) << 16) | (associativity(l2.ways) << 12) | (isAmd(model) ? 1 << 8 : 0) | l2.lineSize;
      // L3 in units of 512 KiB; Intel's processors leave it out
      if (l3 !== undefined && isAmd(model))
        out[3] = ((kib(l3) >> 9) << 18) | (associativity(l3.ways) << 12) | (1 << 8) | l3.lineSize;
      return;
    }
    case 0x80000007:
      out[3] = f.edxExt7;
      return;
    case 0x80000008:
      out[0] =
        (f.edxExt & F_LM) !== 0
          ? PHYSICAL_BITS | (((f.ecx7 & F_LA57) !== 0 ? LINEAR_BITS_5_LEVEL : LINEAR_BITS) << 8)
          : ((f.edx1 & (F_PAE | F_PSE36)) !== 0 ? 36 : 32) | (32 << 8);
      out[1] = f.ebxExt8;
      return;
    case 0x8000001d:
      if (subleaf < model.caches.length) cacheLeaf(model.caches[subleaf], out);
      return;
    case 0x8000001e:
      out[0] = state.apicId; // core 0 of node 0
      return;
    default:
  }
}

const kib = (c: CacheInfo): number => (c.lineSize * c.ways * c.sets) >> 10;

/** AMD APM Vol. 3, Fn8000_0006, "L2/L3 Cache Associativity". */
function associativity(ways: number): number {
  return ways >= 16 ? 8 : ways >= 8 ? 6 : ways >= 4 ? 4 : ways;
}

/** TLBs of 255 entries, and the L1 caches: size in KiB, ways, lines per tag, line size. AMD APM Vol. 3, Fn8000_0005. */
function amdLevel1(model: CpuModel, out: Uint32Array): void {
  out[0] = out[1] = 0x01ff01ff;
  for (const c of model.caches)
    if (c.level === 1) out[c.type === 2 ? 3 : 2] = (kib(c) << 24) | (c.ways << 16) | (1 << 8) | c.lineSize;
}
