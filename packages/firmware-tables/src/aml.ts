/**
 * An encoder for ACPI machine language: small functions that each return the bytes of one term.
 *
 * Spec: ACPI 6.4 §20.2 "AML Grammar Definition". Terms nest by passing encoded terms on; nothing is evaluated or checked
 * against the namespace. Values that do not fit their field throw a RangeError: tables are made from our own data.
 */
export type Aml = readonly number[];

const bytesOf = (n: number, count: number): number[] => {
  if (!Number.isSafeInteger(n) || n < 0 || n >= 2 ** (8 * count))
    throw new RangeError(`AML: ${n} does not fit ${count} byte(s)`);
  const out: number[] = [];
  for (let i = 0; i < count; i++) {
    out.push(n % 256);
    n = Math.floor(n / 256);
  }
  return out;
};

export const byte = (n: number): number[] => bytesOf(n, 1);
export const word = (n: number): number[] => bytesOf(n, 2);
export const dword = (n: number): number[] => bytesOf(n, 4);

/** §20.2.4 PkgLength: counts itself; 1 byte up to 63, else 2-4 bytes with the low nibble first. */
export function packageLength(body: number): number[] {
  if (body + 1 <= 0x3f) return [body + 1];
  for (let extra = 1; extra <= 3; extra++) {
    const total = body + 1 + extra;
    if (total >= 1 << (4 + 8 * extra)) continue;
    return [(extra << 6) | (total & 0xf), ...bytesOf(total >>> 4, extra)];
  }
  throw new RangeError(`AML: package of ${body} bytes`);
}

const sized = (opcode: readonly number[], body: readonly number[]): number[] => [
  ...opcode,
  ...packageLength(body.length),
  ...body,
];

/** §20.2.2: up to four characters A-Z, 0-9, _; padded with underscores. */
function nameSegment(text: string): number[] {
  if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(text)) throw new RangeError(`AML: "${text}" is no name segment`);
  return [...text.padEnd(4, '_')].map((c) => c.charCodeAt(0));
}

/** A path such as `\_SB.PCI0`, `^LNKA` or `PRQ0`. */
export function path(text: string): number[] {
  const prefix = /^(\\|\^*)/.exec(text)![0];
  const rest = text.slice(prefix.length);
  const out = [...prefix].map((c) => c.charCodeAt(0));
  if (rest === '') return [...out, 0x00];
  const segments = rest.split('.').map(nameSegment);
  if (segments.length === 2) out.push(0x2e);
  else if (segments.length > 2) out.push(0x2f, segments.length);
  return out.concat(...segments);
}

/** Shortest encoding of an integer up to 32 bits: Zero, One, or byte, word, dword constants. */
export function integer(n: number): number[] {
  if (n === 0 || n === 1) return [n];
  if (n <= 0xff) return [0x0a, ...byte(n)];
  if (n <= 0xffff) return [0x0b, ...word(n)];
  return [0x0c, ...dword(n)];
}

export function text(s: string): number[] {
  if (!/^[\x01-\x7f]*$/.test(s)) throw new RangeError('AML strings are ASCII without NUL');
  return [0x0d, ...[...s].map((c) => c.charCodeAt(0)), 0];
}

/** §19.6.37 EISAID: three letters in 5 bits each and four hex digits, big-endian. */
export function eisaId(id: string): number[] {
  const m = /^([A-Z]{3})([0-9A-F]{4})$/.exec(id);
  if (m === null) throw new RangeError(`AML: "${id}" is no EISA id`);
  const [a, b, c] = [...m[1]!].map((ch) => ch.charCodeAt(0) - 0x40) as [number, number, number];
  const digits = parseInt(m[2]!, 16);
  return [0x0c, (a << 2) | (b >> 3), ((b & 7) << 5) | c, digits >> 8, digits & 0xff];
}

export const name = (where: string, value: Aml): number[] => [0x08, ...path(where), ...value];
export const packageOf = (...elements: readonly Aml[]): number[] =>
  sized([0x12], [...byte(elements.length), ...elements.flat()]);
export const buffer = (bytes: readonly number[]): number[] => sized([0x11], [...integer(bytes.length), ...bytes]);
export const scope = (where: string, ...terms: readonly Aml[]): number[] =>
  sized([0x10], [...path(where), ...terms.flat()]);
export const device = (where: string, ...terms: readonly Aml[]): number[] =>
  sized([0x5b, 0x82], [...path(where), ...terms.flat()]);
/** §19.6.108: deprecated since ACPI 6, understood by every operating system. */
export const processor = (where: string, id: number): number[] =>
  sized([0x5b, 0x83], [...path(where), ...byte(id), ...dword(0), 0]);

export function method(where: string, args: number, serialized: boolean, ...terms: readonly Aml[]): number[] {
  return sized([0x14], [...path(where), (args & 7) | (serialized ? 8 : 0), ...terms.flat()]);
}

export const SYSTEM_MEMORY = 0;
export const SYSTEM_IO = 1;
export const PCI_CONFIG = 2;

export function operationRegion(where: string, space: number, offset: number, length: number): number[] {
  return [0x5b, 0x80, ...path(where), space, ...integer(offset), ...integer(length)];
}

/** Byte access, no lock, preserve. Elements are `[name, bits]`; an empty name skips bits. */
export function field(region: string, elements: readonly (readonly [string, number])[]): number[] {
  const list = elements.flatMap(([n, bits]) => {
    // A field's bit count is written as a PkgLength that does not count itself.
    const length = bits <= 0x3f ? [bits] : [0x40 | (bits & 0xf), bits >> 4];
    return n === '' ? [0x00, ...length] : [...nameSegment(n), ...length];
  });
  return sized([0x5b, 0x81], [...path(region), 0x01, ...list]);
}

export const ZERO: Aml = [0x00];
export const ONE: Aml = [0x01];
export const local = (n: number): number[] => [0x60 + n];
export const arg = (n: number): number[] => [0x68 + n];
/** No target: the result of an expression is only its value. */
export const NOWHERE: Aml = [0x00];
export const store = (value: Aml, target: Aml): number[] => [0x70, ...value, ...target];
export const and = (a: Aml, b: Aml, target: Aml = NOWHERE): number[] => [0x7b, ...a, ...b, ...target];
export const or = (a: Aml, b: Aml, target: Aml = NOWHERE): number[] => [0x7d, ...a, ...b, ...target];
export const less = (a: Aml, b: Aml): number[] => [0x95, ...a, ...b];
export const equal = (a: Aml, b: Aml): number[] => [0x93, ...a, ...b];
export const when = (condition: Aml, ...terms: readonly Aml[]): number[] =>
  sized([0xa0], [...condition, ...terms.flat()]);
export const otherwise = (...terms: readonly Aml[]): number[] => sized([0xa1], terms.flat());
export const giveBack = (value: Aml): number[] => [0xa4, ...value];
export const createDwordField = (source: Aml, index: number, where: string): number[] => [
  0x8a,
  ...source,
  ...integer(index),
  ...path(where),
];
