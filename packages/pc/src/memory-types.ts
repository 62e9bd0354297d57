/**
 * Memory types as PC firmware leaves them in the MTRRs: RAM write-back, the PCI hole and video memory uncached, the
 * shadowed BIOS area write-protected. Without them Linux says that MTRRs and PAT are off. SDM Vol. 3A §11.11.
 */
import { ENV, F_LM } from '@emkit/x86';
import type { X86Cpu } from '@emkit/x86';

/** CPUID.1:EDX. */
const F_MTRR = 1 << 12;
const UC = 0;
const WP = 5;
const WB = 6;
/** Slots of 8 bytes from ENV.MTRR: eight base/mask pairs, eleven fixed ranges, the default type. */
const FIXED_64K = 16;
const FIXED_16K = 17;
const FIXED_4K = 19;
const DEFAULT_TYPE = 27;
const ENABLE = 1 << 11;
const FIXED_ENABLE = 1 << 10;
/** Upper half of a mask: 36 address bits, with long mode 40. */
const MASK_HIGH = 0xf;
const MASK_HIGH_LM = 0xff;

/** `pciHole`: first address of the hole that ends at 4 GiB; its size is a power of two. */
export function setMemoryTypes(cpu: X86Cpu, pciHole: number): void {
  if ((cpu.features.edx1 & F_MTRR) === 0) return;
  const put = (slot: number, low: number, high: number): void => {
    cpu.setEnv32(ENV.MTRR + slot * 8, low >>> 0);
    cpu.setEnv32(ENV.MTRR + slot * 8 + 4, high >>> 0);
  };
  const all = (slot: number, type: number): void => put(slot, type * 0x01010101, type * 0x01010101);
  put(0, pciHole | UC, 0);
  put(1, pciHole | ENABLE, (cpu.features.edxExt & F_LM) !== 0 ? MASK_HIGH_LM : MASK_HIGH);
  all(FIXED_64K, WB);
  all(FIXED_16K, WB); // 512-640 KiB
  all(FIXED_16K + 1, UC); // video memory
  for (let slot = FIXED_4K; slot < DEFAULT_TYPE; slot++) all(slot, WP);
  put(DEFAULT_TYPE, ENABLE | FIXED_ENABLE | WB, 0);
}
