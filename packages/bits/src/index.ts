export { alignDown, alignUp, isPowerOfTwo, toSize } from './alignment.ts';
export { deposit, extract, signExtend } from './bit-fields.ts';
export { BoundsError } from './bounds-error.ts';
export { BigEndianReader, LittleEndianReader } from './endian-reader.ts';
export { GuestPhys, pageBase } from './guest-phys.ts';
