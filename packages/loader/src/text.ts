/** Strings as a guest sees them: UTF-8 with a final NUL. A NUL inside would end the string early, so it is refused. */
import { LoadError } from './load-error.ts';

export function zeroTerminated(text: string, what: string): Uint8Array {
  if (text.includes('\0')) throw new LoadError('bad-header', `${what} contains a NUL character`);
  const out: number[] = [];
  for (const ch of text) {
    const c = ch.codePointAt(0)!;
    if (c < 0x80) out.push(c);
    else if (c < 0x800) out.push(0xc0 | (c >> 6), 0x80 | (c & 0x3f));
    else if (c < 0x1_0000) out.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 0x3f), 0x80 | (c & 0x3f));
    else out.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 0x3f), 0x80 | ((c >> 6) & 0x3f), 0x80 | (c & 0x3f));
  }
  out.push(0);
  return Uint8Array.from(out);
}
