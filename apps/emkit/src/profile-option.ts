/** `--profile FILE` and `--symbols FILE`: what to write, and the files that name addresses. */
import { parseInteger } from './numbers.ts';
import { OptionError } from './option-error.ts';
import { parseKeyValues, type Token } from './tokenizer.ts';

/** Forms of a profile by the file name's end; the first that fits counts. */
const FORMS = [
  ['.speedscope.json', 'speedscope'],
  ['.json', 'json'],
  ['.folded', 'collapsed'],
  ['.txt', 'text'],
] as const;
export type ProfileForm = (typeof FORMS)[number][1];

export interface ProfileFile {
  readonly path: string;
  readonly form: ProfileForm;
  readonly typed: string;
}

export function profileFile(token: Token): ProfileFile {
  const path = token.value ?? '';
  const form = FORMS.find(([end]) => path.endsWith(end));
  if (form === undefined)
    throw new OptionError(
      `${token.typed}: the file's name says no form`,
      'one of: FILE.json (all of it), FILE.txt (tables), FILE.folded and FILE.speedscope.json (flame graphs)',
    );
  return { path, form: form[1], typed: token.typed };
}

export function symbolsOption(token: Token): { file: string; base: number; typed: string } {
  const keys = parseKeyValues(token, 'file', ['file', 'base']);
  const file = keys.get('file') ?? '';
  if (file === '') throw new OptionError(`${token.typed}: no file`, 'for example --symbols System.map');
  const text = keys.get('base') ?? '0';
  const base = parseInteger(text);
  if (base === undefined)
    throw new OptionError(`${token.typed}: Parameter 'base' expects integer`, 'an address: base=0x400000');
  return { file, base, typed: token.typed };
}
