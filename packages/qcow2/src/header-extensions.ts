/** Header extensions and the feature name table. qcow2 spec, "Header extensions", "Feature name table". Unknown ones are kept as they are. */
import { BlockError } from '@emkit/storage';
import { Extension, FEATURE_NAMES } from './constants.ts';
import { MAX_HEADER_EXTENSIONS } from './limits.ts';
import { viewOf } from './u64.ts';

/** The platform's text codec, without DOM types. */
const platform = globalThis as unknown as {
  readonly TextEncoder: new () => { encode(text: string): Uint8Array };
  readonly TextDecoder: new () => { decode(bytes: Uint8Array): string };
};

export interface HeaderExtension {
  readonly type: number;
  readonly data: Uint8Array;
}

const FEATURE_ENTRY = 48;
const FEATURE_KINDS = ['incompatible', 'compatible', 'autoclear'] as const;
export type FeatureKind = (typeof FEATURE_KINDS)[number];

/** Extensions between `start` and `end` of the first cluster; `bytes` holds what the file has of it, the rest is zero. */
export function parseExtensions(bytes: Uint8Array, start: number, end: number): HeaderExtension[] {
  const view = viewOf(bytes);
  const extensions: HeaderExtension[] = [];
  let at = start;
  while (at + 8 <= end && at + 8 <= bytes.length) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === Extension.END) break;
    if (length > end - at - 8)
      throw new BlockError('invalid-format', 'Header extension too large', { offset: at + 4, field: 'length' });
    if (extensions.length >= MAX_HEADER_EXTENSIONS)
      throw new BlockError('invalid-format', 'Too many header extensions', { offset: at });
    const data = new Uint8Array(length);
    data.set(bytes.subarray(at + 8, at + 8 + length));
    extensions.push({ type, data });
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return extensions;
}

/** With the end marker, each padded to 8 bytes. */
export function encodeExtensions(extensions: readonly HeaderExtension[]): Uint8Array {
  let size = 8;
  for (const { data } of extensions) size += 8 + Math.ceil(data.length / 8) * 8;
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  let at = 0;
  for (const { type, data } of extensions) {
    view.setUint32(at, type);
    view.setUint32(at + 4, data.length);
    bytes.set(data, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  }
  return bytes;
}

export function findExtension(extensions: readonly HeaderExtension[], type: number): Uint8Array | undefined {
  return extensions.find((extension) => extension.type === type)?.data;
}

/** The list with one extension put in, replaced or (undefined) taken out; the order of the others stays. */
export function withExtension(
  extensions: readonly HeaderExtension[],
  type: number,
  data: Uint8Array | undefined,
): HeaderExtension[] {
  const rest = extensions.filter((extension) => extension.type !== type);
  if (data === undefined) return rest;
  const at = extensions.findIndex((extension) => extension.type === type);
  rest.splice(at < 0 ? rest.length : at, 0, { type, data });
  return rest;
}

export function featureNameTable(): Uint8Array {
  const bytes = new Uint8Array(FEATURE_NAMES.length * FEATURE_ENTRY);
  FEATURE_NAMES.forEach(([type, bit, name], i) => {
    bytes[i * FEATURE_ENTRY] = type;
    bytes[i * FEATURE_ENTRY + 1] = bit;
    bytes.set(encodeString(name), i * FEATURE_ENTRY + 2);
  });
  return bytes;
}

/** Names of the set bits by the image's own table; bits without a name as QEMU says it: "Unknown incompatible feature: 10". */
export function describeFeatures(kind: FeatureKind, bits: bigint, table: Uint8Array | undefined): string {
  const type = FEATURE_KINDS.indexOf(kind);
  const names: string[] = [];
  let unnamed = bits;
  for (let at = 0; table !== undefined && at + FEATURE_ENTRY <= table.length && unnamed !== 0n; at += FEATURE_ENTRY) {
    const mask = 1n << BigInt((table[at + 1] as number) & 63);
    if (table[at] !== type || (unnamed & mask) === 0n) continue;
    unnamed &= ~mask;
    names.push(decodeString(table.subarray(at + 2, at + FEATURE_ENTRY)));
  }
  if (unnamed !== 0n) names.push(`Unknown ${kind} feature: ${unnamed.toString(16)}`);
  return names.join(', ');
}

/** Up to the first NUL; bytes that are no UTF-8 become replacement characters. */
export function decodeString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new platform.TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export function encodeString(text: string): Uint8Array {
  return new platform.TextEncoder().encode(text);
}
