/** Big-endian messages for the fuzz targets, made apart from the package's own writer. */
export const u16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
export const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];
export const u64 = (value: number): number[] => [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];
export const text = (value: string): number[] => [...value].map((c) => c.charCodeAt(0) & 0xff);
export const counted = (value: string): number[] => [...u32(value.length), ...text(value)];

export const IHAVEOPT = text('IHAVEOPT');
export const option = (number: number, data: readonly number[]): number[] => [
  ...IHAVEOPT,
  ...u32(number),
  ...u32(data.length),
  ...data,
];
const REPLY_MAGIC = [0x00, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9];
export const optionReply = (number: number, type: number, data: readonly number[] = []): number[] => [
  ...REPLY_MAGIC,
  ...u32(number),
  ...u32(type),
  ...u32(data.length),
  ...data,
];
export const request = (type: number, flags: number, offset: number, length: number): number[] => [
  ...u32(0x25609513),
  ...u16(flags),
  ...u16(type),
  ...u64(offset),
  ...u64(offset),
  ...u32(length),
];
export const chunk = (cookie: number, flags: number, type: number, data: readonly number[]): number[] => [
  ...u32(0x668e33ef),
  ...u16(flags),
  ...u16(type),
  ...u64(cookie),
  ...u32(data.length),
  ...data,
];
export const simple = (cookie: number, errno: number, data: readonly number[] = []): number[] => [
  ...u32(0x67446698),
  ...u32(errno),
  ...u64(cookie),
  ...data,
];
