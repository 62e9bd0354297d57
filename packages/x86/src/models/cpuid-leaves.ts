/**
 * CPUID leaves out of a model: a pure function of (model, leaf, subleaf) and the little state that shows through.
 * SDM Vol. 2A "CPUID". Beyond the highest basic leaf the highest one answers, as on Intel processors.
 * The hypervisor leaves carry a signature of our own: no kernel takes paravirtual interfaces from it.
 */
import { F_APIC, F_CLFLUSH, F_HYPERVISOR, F_MONITOR, F_PAE, F_PSE36 } from './features.ts';
import type { CacheInfo, CpuModel } from './model.ts';

/** What of the processor's state shows in CPUID. */
export interface CpuidState {
  readonly apicId: number;
  /** IA32_APIC_BASE.EN: clear hides the APIC feature bit. */
  readonly apicEnabled: boolean;
}

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
    extendedLeaf(model, leaf, out);
    return;
  }
  basicLeaf(model, leaf > model.maxLeaf ? model.maxLeaf : leaf, subleaf, state, out);
}

function basicLeaf(model: CpuModel, leaf: number, subleaf: number, state: CpuidState, out: Uint32Array): void {
  const f = model.features;
  switch (leaf) {
    case 0:
      out.set([model.maxLeaf, dword(model.vendor, 0), dword(model.vendor, 8), dword(model.vendor, 4)]);
      return;
    case 1:
      out[0] = model.signature;
      // EBX: APIC id, one logical processor, CLFLUSH line in 8-byte units.
      out[1] = (state.apicId << 24) | ((f.edx1 & F_CLFLUSH) !== 0 ? 8 << 8 : 0);
      out[2] = f.ecx1;
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
    case 7:
      if (subleaf === 0) out[1] = f.ebx7;
      return;
    default:
  }
}

function cacheLeaf(c: CacheInfo, out: Uint32Array): void {
  out[0] = c.type | (c.level << 5) | (1 << 8); // self-initialising, one core
  out[1] = (c.lineSize - 1) | ((c.ways - 1) << 22);
  out[2] = c.sets - 1;
  out[3] = 0;
}

function extendedLeaf(model: CpuModel, leaf: number, out: Uint32Array): void {
  const f = model.features;
  switch (leaf) {
    case 0x80000000:
      out[0] = model.maxExtendedLeaf;
      return;
    case 0x80000001:
      out[2] = f.ecxExt;
      out[3] = f.edxExt;
      return;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const at = (leaf - 0x80000002) * 16;
      const brand = model.brand.slice(0, BRAND_LENGTH - 1);
      for (let i = 0; i < 4; i++) out[i] = dword(brand, at + 4 * i);
      return;
    }
    case 0x80000006: {
      // L2: kilobytes, associativity (6 = 8 ways, 8 = 16 ways), one line per tag, line size.
      const l2 = model.caches.find((c) => c.level === 2);
      if (l2 !== undefined)
        out[2] = (((l2.lineSize * l2.ways * l2.sets) >> 10) << 16) | ((l2.ways === 16 ? 8 : 6) << 12) | l2.lineSize;
      return;
    }
    case 0x80000008:
      out[0] = (f.edx1 & (F_PAE | F_PSE36)) !== 0 ? 36 : 32;
      out[0] |= 32 << 8; // linear address bits
      return;
    default:
  }
}
