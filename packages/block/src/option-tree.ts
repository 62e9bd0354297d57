/**
 * Ways to name an image: a file name, `json:{...}`, `driver=..,file.filename=..` (QEMU's --image-opts and -blockdev), a tree. All become
 * one tree of options. Opens nothing, and knows no option but the shape of QEMU's.
 *
 * Names come out of image files too, so a spec is hostile: length, depth and number of keys are bounded, and trees have no prototype.
 */
import { BlockError } from '@emkit/storage';
import { LIMITS } from './limits.ts';

export type OptionValue = string | number | boolean | null | OptionTree;
export interface OptionTree {
  readonly [key: string]: OptionValue;
}
type Growing = { [key: string]: OptionValue };

const bad = (message: string): BlockError => new BlockError('invalid-option', message);
const isTree = (value: unknown): value is OptionTree => typeof value === 'object' && value !== null;

/**
 * `text` is a file name (`json:{...}` and `protocol:rest` names included), or with `imageOpts` a list `key=value,key.sub=value` in
 * which `,,` is a comma. A plain name gives `{ filename }`, which `openImage` takes apart by the protocols it has. Throws `invalid-option`.
 */
export function parseImageSpec(text: string, how: { readonly imageOpts?: boolean | undefined } = {}): OptionTree {
  if (text.length > LIMITS.SPEC_LENGTH)
    throw bad(`a name of ${text.length} characters is longer than ${LIMITS.SPEC_LENGTH}`);
  if (how.imageOpts === true) return nest(parseList(text));
  if (!text.startsWith('json:')) return Object.assign(Object.create(null) as Growing, { filename: text });
  let value: unknown;
  try {
    value = JSON.parse(text.slice('json:'.length));
  } catch (cause) {
    throw new BlockError('invalid-option', 'Could not parse the JSON options', { cause });
  }
  if (!isTree(value) || Array.isArray(value)) throw bad('Invalid JSON object given');
  return toTree(value);
}

/** A tree of the caller's, checked and copied: depth, number of keys, kinds of values, dotted keys taken apart. */
export function toTree(value: object): OptionTree {
  const pairs: [string, OptionValue][] = [];
  collect(value, '', 1, pairs);
  return nest(pairs);
}

function collect(value: object, prefix: string, depth: number, pairs: [string, OptionValue][]): void {
  if (depth > LIMITS.OPTION_DEPTH) throw bad(`options are nested deeper than ${LIMITS.OPTION_DEPTH}`);
  for (const [key, item] of Object.entries(value)) {
    const path = prefix + key;
    if (isTree(item)) collect(item, `${path}.`, depth + 1, pairs);
    else if (item === null || typeof item === 'string' || typeof item === 'boolean' || Number.isFinite(item))
      pairs.push([path, item as OptionValue]);
    else if (item !== undefined) throw bad(`option '${path}' is no string, number, boolean or object`);
    if (pairs.length > LIMITS.OPTION_KEYS) throw bad(`there are more than ${LIMITS.OPTION_KEYS} options`);
  }
}

/** `a=b,c=d,,e` is a: "b", c: "d,e". The first may lack its key, which is then `file`; others without value are `on`, with `no` before them `off`. */
function parseList(text: string): [string, OptionValue][] {
  const pairs: [string, OptionValue][] = [];
  const items = text
    .replaceAll(',,', '\0')
    .split(',')
    .map((item) => item.replaceAll('\0', ','));
  for (const [index, item] of items.entries()) {
    const equals = item.indexOf('=');
    if (item === '' && items.length === 1) throw bad('no options are given');
    if (item === '') continue;
    if (equals > 0) pairs.push([item.slice(0, equals), item.slice(equals + 1)]);
    else if (equals === 0) throw bad(`Invalid parameter '${item}'`);
    else if (index === 0) pairs.push(['file', item]);
    else pairs.push(item.startsWith('no') ? [item.slice(2), 'off'] : [item, 'on']);
  }
  return pairs;
}

/** Dotted keys become subtrees; the last of equal keys wins. */
function nest(pairs: readonly [string, OptionValue][]): OptionTree {
  if (pairs.length > LIMITS.OPTION_KEYS) throw bad(`there are more than ${LIMITS.OPTION_KEYS} options`);
  const root = Object.create(null) as Growing;
  for (const [path, value] of pairs) {
    const parts = path.split('.');
    if (parts.length > LIMITS.OPTION_DEPTH) throw bad(`options are nested deeper than ${LIMITS.OPTION_DEPTH}`);
    if (parts.includes('')) throw bad(`Invalid parameter '${path}'`);
    const last = parts.pop() as string;
    let tree = root;
    for (const part of parts) {
      const below = (tree[part] ??= Object.create(null) as Growing);
      if (!isTree(below)) throw bad(`Cannot mix scalar and non-scalar keys: '${path}'`);
      tree = below as Growing;
    }
    if (isTree(tree[last])) throw bad(`Cannot mix scalar and non-scalar keys: '${path}'`);
    tree[last] = value;
  }
  return root;
}

/** A tree as flat dotted keys with values as typed, for a driver's own options. */
export function flatten(tree: OptionTree, prefix = ''): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [key, value] of Object.entries(tree)) {
    if (isTree(value)) Object.assign(flat, flatten(value, `${prefix}${key}.`));
    else if (value !== null) flat[prefix + key] = typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
  }
  return flat;
}

/** The protocol that a name begins with, lower case as it stands; undefined: a path. One letter is a drive, not a protocol. */
export function schemeOf(name: string): string | undefined {
  return /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(name)?.[1];
}

/** Name of a file that `base` refers to as `name`: relative names are relative to `base`'s directory; absolute ones, URLs and `json:` stand for themselves. */
export function resolveName(base: string, name: string): string {
  if (name.startsWith('/') || schemeOf(name) !== undefined || /^([A-Za-z]:)?[\\]|^[A-Za-z]:/.test(name)) return name;
  if (base.startsWith('json:'))
    throw bad(`Cannot generate a base directory with the name '${base.slice(0, 80)}' for '${name}'`);
  const scheme = schemeOf(base);
  const path = scheme === undefined ? 0 : scheme.length + 1;
  const slash = Math.max(base.lastIndexOf('/'), scheme === undefined ? base.lastIndexOf('\\') : -1);
  return base.slice(0, Math.max(slash + 1, path)) + name;
}
