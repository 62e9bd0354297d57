/** The bytes of a key's press or release in each scan code set. IBM PS/2 Hardware Interface Technical Reference, "Keyboards". */
import { KEYS, PAUSE, PRINT } from './keys.ts';
import { BREAK_PREFIX, SET1_BREAK, translate } from './translation.ts';

const PRINT_MAKE = [0xe0, 0x12, 0xe0, 0x7c];
const PRINT_BREAK = [0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12];
/** Sent on the press; the release is silent. */
const PAUSE_MAKE = [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77];

/** `index` in KEYS; `set` 1, 2 or 3. Empty when the set sends nothing. */
export function keyBytes(index: number, isDown: boolean, set: number): readonly number[] {
  const key = KEYS[index];
  if (key === undefined) return [];
  if (set === 3) return isDown ? [key.set3] : [BREAK_PREFIX, key.set3];
  const bytes = set2Bytes(key.name, key.set2, isDown);
  return set === 1 ? toSet1(bytes) : bytes;
}

function set2Bytes(name: string, code: number, isDown: boolean): readonly number[] {
  if (name === PRINT) return isDown ? PRINT_MAKE : PRINT_BREAK;
  if (name === PAUSE) return isDown ? PAUSE_MAKE : [];
  const bytes = isDown ? [code & 0xff] : [BREAK_PREFIX, code & 0xff];
  return code > 0xff ? [code >> 8, ...bytes] : bytes;
}

function toSet1(bytes: readonly number[]): number[] {
  const result: number[] = [];
  let isBreak = false;
  for (const byte of bytes) {
    if (byte === BREAK_PREFIX) {
      isBreak = true;
    } else {
      result.push(translate(byte) | (isBreak ? SET1_BREAK : 0));
      isBreak = false;
    }
  }
  return result;
}
