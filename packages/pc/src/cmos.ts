/** What PC firmware expects in CMOS memory, and the clock's properties. Ralf Brown's CMOS list; PC/AT technical reference. */
import type { RtcOptions } from './options.ts';
import type { RamLayout } from './ram-layout.ts';

interface CmosMemory {
  setCmos(index: number, value: number): void;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Memory sizes: base, extended (KiB), from 16 MiB and from 4 GiB up (64 KiB units). */
export function setCmosMemory(rtc: CmosMemory, { below4g, above4g }: RamLayout): void {
  const word = (index: number, value: number): void => {
    rtc.setCmos(index, value & 0xff);
    rtc.setCmos(index + 1, value >> 8);
  };
  word(0x15, 640);
  const extended = Math.min(0xffff, (below4g - MIB) / KIB);
  word(0x17, extended);
  word(0x30, extended);
  word(0x34, below4g > 16 * MIB ? Math.min(0xffff, (below4g - 16 * MIB) / (64 * KIB)) : 0);
  const high = Math.floor(above4g / (64 * KIB));
  word(0x5b, high & 0xffff);
  rtc.setCmos(0x5d, high >>> 16);
  rtc.setCmos(0x14, 0x06); // equipment: FPU and PS/2 mouse, no floppy
  rtc.setCmos(0x5f, 0); // processors - 1
}

/** `-rtc` as properties of the clock: a start time given by the user is the guest's own, in whatever zone. */
export function rtcProperties(rtc: RtcOptions | undefined): Readonly<Record<string, unknown>> {
  if (rtc === undefined) return {};
  if (rtc.startMs !== undefined) return { clock: rtc.clock, base: 'fixed', 'start-ms': rtc.startMs };
  return { clock: rtc.clock, 'zone-offset': rtc.zone === 'localtime' ? -new Date().getTimezoneOffset() : 0 };
}
