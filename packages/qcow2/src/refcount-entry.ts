/** Reading and writing one refcount of a block, 1 to 64 bits wide. qcow2 spec, "Host cluster management": bit 0 is the least significant. */
import { TWO_32 } from './u64.ts';

/** Hot path. */
export function readRefcount(view: DataView, index: number, order: number): number {
  switch (order) {
    case 3:
      return view.getUint8(index);
    case 4:
      return view.getUint16(index * 2);
    case 5:
      return view.getUint32(index * 4);
    case 6:
      // counts of 2^53 and more are no counts of anything real: inexact, but never small
      return view.getUint32(index * 8) * TWO_32 + view.getUint32(index * 8 + 4);
    default: {
      const perByte = 8 >> order;
      const shift = (index % perByte) << order;
      return (view.getUint8(Math.floor(index / perByte)) >> shift) & ((1 << (1 << order)) - 1);
    }
  }
}

/** `value` fits the width. */
export function writeRefcount(view: DataView, index: number, order: number, value: number): void {
  switch (order) {
    case 3:
      view.setUint8(index, value);
      return;
    case 4:
      view.setUint16(index * 2, value);
      return;
    case 5:
      view.setUint32(index * 4, value);
      return;
    case 6:
      view.setUint32(index * 8, Math.floor(value / TWO_32));
      view.setUint32(index * 8 + 4, value % TWO_32);
      return;
    default: {
      const perByte = 8 >> order;
      const shift = (index % perByte) << order;
      const at = Math.floor(index / perByte);
      const mask = ((1 << (1 << order)) - 1) << shift;
      view.setUint8(at, (view.getUint8(at) & ~mask) | (value << shift));
    }
  }
}

/** Byte range [from, to) that holds the refcounts [index, index + count). */
export function refcountBytes(index: number, count: number, order: number): [from: number, to: number] {
  const bits = 2 ** order;
  return [Math.floor((index * bits) / 8), Math.ceil(((index + count) * bits) / 8)];
}
