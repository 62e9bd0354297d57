/**
 * 64-bit big-endian fields as numbers. A value of 2^53 or more comes out inexact but never small, so a comparison with a limit refuses
 * it; who needs the exact bits takes the two halves.
 */

export const TWO_32 = 2 ** 32;

/** Hot path. */
export function getU64(view: DataView, at: number): number {
  return view.getUint32(at) * TWO_32 + view.getUint32(at + 4);
}

/** `value`: a safe integer. Hot path. */
export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / TWO_32));
  view.setUint32(at + 4, value % TWO_32);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
