/** Numbers as QEMU reads them: sizes with suffixes, integers in any C base, on/off, address ranges. */
import { OptionError } from './option-error.ts';

const SUFFIXES = 'BKMGTPE';

/** Bytes, or undefined when it is no size. A plain number counts in `unit` bytes. */
export function parseSize(text: string, unit: number): number | undefined {
  const m = /^(0x[0-9a-fA-F]+|\d+(?:\.\d+)?)([bBkKmMgGtTpPeE]?)$/.exec(text);
  if (m === null) return undefined;
  const factor = m[2] === '' ? unit : 1024 ** SUFFIXES.indexOf(m[2]!.toUpperCase());
  return Math.floor(Number(m[1]) * factor);
}

/** A non-negative integer in decimal, 0x hex or 0 octal; undefined otherwise. */
export function parseInteger(text: string): number | undefined {
  if (/^0[0-7]+$/.test(text)) return parseInt(text, 8);
  if (!/^(0x[0-9a-fA-F]+|\d+)$/.test(text)) return undefined;
  const n = Number(text);
  return Number.isSafeInteger(n) ? n : undefined;
}

/** QEMU's booleans: on/yes/true/y and off/no/false/n. */
export function parseOnOff(typed: string, key: string, value: string): boolean {
  if (['on', 'yes', 'true', 'y'].includes(value)) return true;
  if (['off', 'no', 'false', 'n'].includes(value)) return false;
  throw new OptionError(`${typed}: Parameter '${key}' expects 'on' or 'off'`);
}

export interface AddressRange {
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
}

/** An address of up to 64 bits; from 2^63 up as a negative number, as the processor's linear addresses are kept: exact if canonical. */
function parseAddress(text: string): number | undefined {
  const digits = /^0x([0-9a-fA-F]{14,16})$/.exec(text)?.[1];
  if (digits === undefined) return parseInteger(text);
  const number = (parseInt(digits.slice(0, -8), 16) | 0) * 2 ** 32 + parseInt(digits.slice(-8), 16);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** `START..END`, `START+LENGTH` or `START-LENGTH` (the last ends at START). */
export function parseRanges(typed: string, text: string): readonly AddressRange[] {
  return text.split(',').map((part) => {
    const m = /^([^.+-]+)(\.\.|\+|-)(.+)$/.exec(part);
    const a = m === null ? undefined : parseAddress(m[1]!);
    const b = m === null ? undefined : parseAddress(m[3]!);
    if (m === null || a === undefined || b === undefined)
      throw new OptionError(
        `${typed}: Bad range specifier`,
        'for example -dfilter 0x100000..0x1fffff or 0xc0000000+0x1000',
      );
    const range =
      m[2] === '..' ? { start: a, end: b } : m[2] === '+' ? { start: a, end: a + b - 1 } : { start: a - b + 1, end: a };
    if (range.end < range.start || (a >= 0 && range.start < 0))
      throw new OptionError(
        `${typed}: Invalid range`,
        'the end is below the start; START..END, START+LENGTH or START-LENGTH',
      );
    return range;
  });
}
