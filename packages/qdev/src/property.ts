/**
 * Typed device properties: declared as data, so that `-device X,help` writes itself, parsed from and printed as text in
 * the form that command-line users know (`on`/`off`, `0x3f8`, `64M`).
 */

export interface PropertyTypes {
  bool: boolean;
  uint8: number;
  uint16: number;
  uint32: number;
  int32: number;
  /** Unsigned, exact up to 2^53 - 1. */
  uint64: number;
  /** Bytes; text takes the suffixes k M G T (powers of 1024). */
  size: number;
  str: string;
  /** An object of the host (character device, drive, callback), named by its id on a command line. */
  link: unknown;
}
export type PropertyType = keyof PropertyTypes;

export interface PropertySpec<T = unknown> {
  readonly type: PropertyType;
  readonly default: T;
  readonly description: string;
  /** `str` only: the values allowed. */
  readonly choices?: readonly string[];
  /** `link` only: what kind of object, for help and for the resolver ('chardev', 'drive', ...). */
  readonly kind?: string;
}

export type PropertySpecs = Readonly<Record<string, PropertySpec>>;
export type PropertyValues<P extends PropertySpecs> = { readonly [K in keyof P]: P[K]['default'] };

/** Constructors of property declarations. */
export const property = {
  bool: (value: boolean, description: string): PropertySpec<boolean> => ({ type: 'bool', default: value, description }),
  uint8: (value: number, description: string): PropertySpec<number> => ({ type: 'uint8', default: value, description }),
  uint16: (value: number, description: string): PropertySpec<number> => ({
    type: 'uint16',
    default: value,
    description,
  }),
  uint32: (value: number, description: string): PropertySpec<number> => ({
    type: 'uint32',
    default: value,
    description,
  }),
  int32: (value: number, description: string): PropertySpec<number> => ({ type: 'int32', default: value, description }),
  uint64: (value: number, description: string): PropertySpec<number> => ({
    type: 'uint64',
    default: value,
    description,
  }),
  size: (value: number, description: string): PropertySpec<number> => ({ type: 'size', default: value, description }),
  str: (value: string, description: string): PropertySpec<string> => ({ type: 'str', default: value, description }),
  choice: <const C extends readonly string[]>(
    choices: C,
    value: C[number],
    description: string,
  ): PropertySpec<C[number]> => ({
    type: 'str',
    default: value,
    description,
    choices,
  }),
  /** `property.link<CharSink>('chardev', 'where output goes')`; null when not given. */
  link: <T>(kind: string, description: string): PropertySpec<T | null> => ({
    type: 'link',
    default: null,
    description,
    kind,
  }),
} as const;

/** A property that does not exist or a value that does not fit. The message follows the form users know. */
export class PropertyError extends Error {
  override readonly name = 'PropertyError';
  readonly property: string;
  constructor(propertyName: string, message: string) {
    super(message);
    this.property = propertyName;
  }
}

const RANGES: Partial<Record<PropertyType, readonly [number, number]>> = {
  uint8: [0, 0xff],
  uint16: [0, 0xffff],
  uint32: [0, 0xffffffff],
  int32: [-0x80000000, 0x7fffffff],
  uint64: [0, Number.MAX_SAFE_INTEGER],
  size: [0, Number.MAX_SAFE_INTEGER],
};
const SUFFIX: Readonly<Record<string, number>> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Resolves the id of a `link` property; returns undefined when there is no such object. */
export type LinkResolver = (kind: string, id: string) => unknown;

/** Turns text such as `0x2f8`, `on` or `64M` into the property's value; throws PropertyError. */
export function parseProperty(name: string, spec: PropertySpec, text: string, resolve?: LinkResolver): unknown {
  switch (spec.type) {
    case 'bool':
      if (text === 'on' || text === 'yes' || text === 'true' || text === 'y') return true;
      if (text === 'off' || text === 'no' || text === 'false' || text === 'n') return false;
      throw new PropertyError(name, `Parameter '${name}' expects 'on' or 'off'`);
    case 'str':
      return checkProperty(name, spec, text);
    case 'link': {
      const found = resolve?.(spec.kind ?? '', text);
      if (found === undefined) throw new PropertyError(name, `Property '${name}' can't find value '${text}'`);
      return found;
    }
    default:
      return checkProperty(name, spec, parseNumber(name, spec.type, text));
  }
}

function parseNumber(name: string, type: PropertyType, text: string): number {
  const pattern = type === 'size' ? /^(0x[0-9a-f]+|\d+(?:\.\d+)?)([bkmgt]?)$/i : /^([+-]?(?:0x[0-9a-f]+|\d+))()$/i;
  const match = pattern.exec(text.trim());
  if (match === null) {
    if (type === 'size') throw new PropertyError(name, `Parameter '${name}' expects a non-negative number below 2^64`);
    throw new PropertyError(name, `Parameter '${name}' expects a number, got '${text}'`);
  }
  const digits = match[1] as string;
  const magnitude = Number(digits.replace(/^[+-]/, ''));
  const value = (digits.startsWith('-') ? -magnitude : magnitude) * (SUFFIX[(match[2] ?? '').toLowerCase()] as number);
  return type === 'size' ? Math.floor(value) : value;
}

/** Checks a value given by a program; returns it. Throws PropertyError. */
export function checkProperty(name: string, spec: PropertySpec, value: unknown): unknown {
  if (spec.type === 'link') return value;
  if (spec.type === 'bool' || spec.type === 'str') {
    const expected = spec.type === 'bool' ? 'boolean' : 'string';
    if (typeof value !== expected)
      throw new PropertyError(name, `Invalid parameter type for '${name}', expected: ${expected}`);
    if (spec.choices !== undefined && !spec.choices.includes(value as string)) {
      throw new PropertyError(
        name,
        `Property '${name}' doesn't take value '${String(value)}' (allowed: ${spec.choices.join(', ')})`,
      );
    }
    return value;
  }
  const [min, max] = RANGES[spec.type] as readonly [number, number];
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw new PropertyError(name, `Invalid parameter type for '${name}', expected: integer`);
  if (value < min || value > max)
    throw new PropertyError(name, `Property '${name}' doesn't take value ${value} (minimum: ${min}, maximum: ${max})`);
  return value;
}

/** Defaults overlaid with `given`; text values are parsed where the property is not a string. Unknown names throw. */
export function resolveProperties<P extends PropertySpecs>(
  device: string,
  specs: P,
  given: Readonly<Record<string, unknown>>,
  resolve?: LinkResolver,
): PropertyValues<P> {
  const values: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, spec] of Object.entries(specs)) values[name] = spec.default;
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) throw new PropertyError(name, `Property '${device}.${name}' not found`);
    const isText = typeof value === 'string' && spec.type !== 'str' && (spec.type !== 'link' || resolve !== undefined);
    values[name] = isText ? parseProperty(name, spec, value, resolve) : checkProperty(name, spec, value);
  }
  return values as PropertyValues<P>;
}

/** A value as a user would type it. */
export function formatProperty(spec: PropertySpec, value: unknown): string {
  if (spec.type === 'bool') return value === true ? 'true' : 'false';
  if (spec.type === 'str') return JSON.stringify(value);
  if (spec.type === 'link') return value === null ? '""' : JSON.stringify(spec.kind ?? 'object');
  return String(value);
}
