/** Sizes as qemu-img reads and prints them: suffixes are powers of 1024, printed with three significant digits. */
import { ToolError } from './tool-error.ts';

const SUFFIXES = 'BKMGTPE';

/** Bytes of "1.5G", "512", "64k", "0x200"; undefined when it is no size. `unit`: of a number without suffix. */
export function parseSize(text: string, unit = 1): number | undefined {
  const hex = /^0x([0-9a-f]+)$/i.exec(text);
  if (hex !== null) return exact(parseInt(hex[1] as string, 16) * unit);
  const match = /^(\d+(?:\.\d*)?|\.\d+)([bkmgtpe]?)$/i.exec(text);
  if (match === null) return undefined;
  const [, number, suffix] = match as unknown as [string, string, string];
  const scale = suffix === '' ? unit : 1024 ** SUFFIXES.indexOf(suffix.toUpperCase());
  const value = Number(number) * scale;
  // a fraction of a byte is a mistake
  if (number.includes('.') && scale === 1 && !Number.isInteger(value)) return undefined;
  return exact(Math.floor(value));
}

const exact = (value: number): number | undefined => (Number.isSafeInteger(value) ? value : undefined);

/** For arguments: throws QEMU's two lines. `what`: "image size". */
export function sizeArgument(text: string, what: string): number {
  const size = parseSize(text);
  if (size !== undefined) return size;
  const isTooBig = /^\d+(\.\d+)?[bkmgtpe]?$/i.test(text);
  throw new ToolError(
    isTooBig
      ? `Invalid ${what} specified. Must be between 0 and ${Number.MAX_SAFE_INTEGER}.`
      : `Invalid ${what} specified. You may use k, M, G, T, P or E suffixes for\n` +
          'kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.',
  );
}

/** "1.5 GiB". */
export function formatSize(bytes: number): string {
  let scale = 0;
  // from 1000 on the next unit: 0.977 KiB rather than 1000 B
  for (let value = bytes; value >= 1000 && scale < SUFFIXES.length - 1; value /= 1024) scale++;
  const unit = scale === 0 ? 'B' : `${SUFFIXES[scale] as string}iB`;
  return `${threeDigits(bytes / 1024 ** scale)} ${unit}`;
}

/** C's "%.3g" for 0 <= value < 1000. */
function threeDigits(value: number): string {
  if (value === 0) return '0';
  return String(Number(value.toPrecision(3)));
}
