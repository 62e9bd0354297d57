/** Range headers: RFC 9110 §14, "Range Requests". Numbers from a server are bounded before they are numbers. */

export interface ContentRange {
  /** Undefined: "unsatisfied", a star in place of the range. */
  readonly start: number | undefined;
  /** Last byte, inclusive. */
  readonly last: number | undefined;
  /** Bytes of the whole; undefined: a star, the server does not know. */
  readonly size: number | undefined;
}

/** RFC 9110 §14.4 "Content-Range". Undefined: not a valid one. */
export function parseContentRange(text: string): ContentRange | undefined {
  const match = /^bytes (?:([0-9]{1,16})-([0-9]{1,16})|\*)\/([0-9]{1,16}|\*)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, first, second, whole] = match;
  const start = first === undefined ? undefined : Number(first);
  const last = second === undefined ? undefined : Number(second);
  const size = whole === '*' ? undefined : Number(whole);
  for (const value of [start, last, size]) if (value !== undefined && !Number.isSafeInteger(value)) return undefined;
  if (start !== undefined && last !== undefined && (last < start || (size !== undefined && last >= size)))
    return undefined;
  return { start, last, size };
}

/** RFC 9110 §14.1.2 "Byte Ranges". `length` > 0. */
export function rangeHeader(offset: number, length: number): string {
  return `bytes=${offset}-${offset + length - 1}`;
}

/** A Content-Length; undefined: absent or not a number below 2^53. */
export function parseLength(text: string | null): number | undefined {
  if (text === null || !/^[0-9]{1,16}$/.test(text.trim())) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
