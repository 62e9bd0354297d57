/** `key=value,key=value` lists as in `-o` and `--object`: a doubled comma stands for one, a key alone means `on`. */
import { BlockError } from '@emkit/storage';

/** In order; a later key wins where the caller makes a map of it. `firstKey`: name of a first value that has none ("secret,id=a"). */
export function parseKeyValues(text: string, firstKey?: string): [key: string, value: string][] {
  const result: [string, string][] = [];
  for (const part of splitList(text)) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    if (equals > 0) result.push([part.slice(0, equals), part.slice(equals + 1)]);
    else if (equals === 0) throw new BlockError('invalid-option', `Invalid parameter '${part}'`);
    else if (firstKey !== undefined && result.length === 0) result.push([firstKey, part]);
    else result.push([part, 'on']);
  }
  return result;
}

/** Parts between single commas. */
export function splitList(text: string): string[] {
  const parts: string[] = [''];
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (char !== ',') parts[parts.length - 1] += char;
    else if (text[i + 1] === ',') {
      parts[parts.length - 1] += ',';
      i++;
    } else parts.push('');
  }
  return parts;
}

/** All `-o` arguments of one command as a record; undefined value never occurs. "help" or "?" among them asks for the list. */
export function optionRecord(lists: readonly string[]): { values: Record<string, string>; help: boolean } {
  const values: Record<string, string> = Object.create(null) as Record<string, string>;
  let help = false;
  for (const list of lists) {
    for (const [key, value] of parseKeyValues(list)) {
      if ((key === 'help' || key === '?') && value === 'on') help = true;
      else values[key] = value;
    }
  }
  return { values, help };
}
