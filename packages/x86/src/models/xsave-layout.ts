/**
 * The state components of XSAVE: their bits in XCR0, and where each lies in the standard form of the save area. A pure function of
 * the feature words. SDM Vol. 1 §13.1 "XSAVE-Supported Features and State-Component Bitmaps", §13.4 "XSAVE Area".
 */
import { F_AVX, F_PKU, F_XSAVE } from './features.ts';
import type { CpuFeatures } from './features.ts';

export const XCR0_X87 = 1 << 0;
export const XCR0_SSE = 1 << 1;
export const XCR0_AVX = 1 << 2;
export const XCR0_PKRU = 1 << 9;

/** Legacy region and header. */
export const XSAVE_HEADER_END = 576;

export interface XsaveComponent {
  readonly bit: number;
  readonly size: number;
  /** In the standard form. The compacted form packs what is asked for behind the header, in the order of bits; none here is aligned. */
  readonly offset: number;
}

/** Beyond x87 and SSE, which are the legacy region. By number of the bit. */
export const XSAVE_COMPONENTS: readonly XsaveComponent[] = [
  { bit: 2, size: 256, offset: 576 },
  { bit: 9, size: 8, offset: 2688 },
];

/** Bits that XCR0 may have. */
export function xcr0Supported(f: CpuFeatures): number {
  if ((f.ecx1 & F_XSAVE) === 0) return 0;
  return XCR0_X87 | XCR0_SSE | ((f.ecx1 & F_AVX) !== 0 ? XCR0_AVX : 0) | ((f.ecx7 & F_PKU) !== 0 ? XCR0_PKRU : 0);
}

/** Bytes of a save area in the standard form for the components in `xcr0`. */
export function xsaveSize(xcr0: number): number {
  let size = XSAVE_HEADER_END;
  for (const c of XSAVE_COMPONENTS) if (((xcr0 >>> c.bit) & 1) !== 0) size = Math.max(size, c.offset + c.size);
  return size;
}

/** Bytes in the compacted form. */
export function xsaveCompactedSize(xcr0: number): number {
  let size = XSAVE_HEADER_END;
  for (const c of XSAVE_COMPONENTS) if (((xcr0 >>> c.bit) & 1) !== 0) size += c.size;
  return size;
}
