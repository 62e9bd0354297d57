/**
 * The BIOS data area (0x400-0x4FF) as a kernel finds it that was entered without a BIOS.
 *
 * Only the words that operating systems read are set: port addresses, equipment, base memory, EBDA segment, timer ticks, video
 * mode, keyboard buffer pointers. Source: IBM PC/AT Technical Reference, "ROM BIOS Data Areas".
 */
import { createByteWriter } from './byte-writer.ts';
import { EBDA_ADDRESS } from './memory-map.ts';

export const BIOS_DATA_ADDRESS = 0x400;

export interface BiosDataOptions {
  /** Ports of COM1-COM4 that exist, in order. */
  readonly serialPorts?: readonly number[];
  readonly parallelPorts?: readonly number[];
  readonly hasVga?: boolean;
}

export function buildBiosData(options: BiosDataOptions = {}): Uint8Array {
  const serial = (options.serialPorts ?? [0x3f8]).slice(0, 4);
  const parallel = (options.parallelPorts ?? []).slice(0, 3);
  const w = createByteWriter(256);
  serial.forEach((port, i) => w.u16(i * 2, port));
  parallel.forEach((port, i) => w.u16(8 + i * 2, port));
  w.u16(0x0e, EBDA_ADDRESS >> 4);
  // Equipment: FPU (bit 1), pointing device (bit 2), 80x25 colour (bit 5), serial count (bits 9-11), parallel count (14-15).
  w.u16(0x10, 0x0006 | (options.hasVga === true ? 0x20 : 0) | (serial.length << 9) | (parallel.length << 14));
  w.u16(0x13, EBDA_ADDRESS >> 10);
  w.u16(0x1a, 0x1e);
  w.u16(0x1c, 0x1e);
  if (options.hasVga === true) {
    w.u8(0x49, 3);
    w.u16(0x4a, 80);
    w.u16(0x4c, 0x1000);
    w.u16(0x63, 0x3d4);
    w.u8(0x84, 24);
    w.u16(0x85, 16);
  }
  w.u8(0x75, 0);
  w.u16(0x80, 0x1e);
  w.u16(0x82, 0x3e);
  return w.bytes;
}

/** The first KiB at `EBDA_ADDRESS`: its size in KiB, then zeros. */
export function buildExtendedBiosData(): Uint8Array {
  const w = createByteWriter(1024);
  w.u8(0, 1);
  return w.bytes;
}
