/** JSON as QEMU prints it: four spaces, ASCII only. */
import type { JsonValue } from '@emkit/storage';

export function jsonText(value: JsonValue): string {
  const text = JSON.stringify(value, undefined, 4);
  return text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
