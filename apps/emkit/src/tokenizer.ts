/**
 * QEMU's command-line grammar: single-dash long options (two dashes alike), `key=value,...` lists with `,,` for a comma.
 *
 * Order is kept; nothing is interpreted. An argument is taken as it stands, also when it begins with a dash. A word without a
 * dash is a positional (a disk image in QEMU).
 */
import { OptionError } from './option-error.ts';
import { OPTIONS, type OptionSpec } from './option-table.ts';
import { nearest } from './suggest.ts';

export interface Token {
  readonly spec: OptionSpec;
  /** Undefined when the option takes none. */
  readonly value: string | undefined;
  /** Option and argument as typed, for messages. */
  readonly typed: string;
}

export interface Tokens {
  readonly options: readonly Token[];
  readonly positionals: readonly string[];
}

const BY_NAME: ReadonlyMap<string, OptionSpec> = new Map(
  OPTIONS.flatMap((o) => [o.name, ...(o.aliases ?? [])].map((n) => [n, o] as const)),
);

export function findOption(name: string): OptionSpec | undefined {
  return BY_NAME.get(name);
}

/** How an option is spelled in messages. */
export const spell = (spec: OptionSpec): string => `${spec.own === true ? '--' : '-'}${spec.name}`;

function unknownOption(word: string): OptionError {
  const names = OPTIONS.filter((o) => o.refused === undefined).map((o) => o.name);
  const guess = nearest(word.replace(/^-+/, '').replace(/=.*/, ''), names);
  const spec = guess === undefined ? undefined : findOption(guess);
  if (spec === undefined) return new OptionError(`${word}: invalid option`, 'all options: emkit -help');
  return new OptionError(
    `${word}: invalid option`,
    `did you mean ${spell(spec)}?   emkit ${spell(spec)}${spec.argument === undefined ? '' : ` ${spec.argument}`}    (emkit -help ${spec.name})`,
  );
}

export function tokenize(args: readonly string[]): Tokens {
  const options: Token[] = [];
  const positionals: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (!word.startsWith('-') || word === '-') {
      positionals.push(word);
      continue;
    }
    const double = word.startsWith('--');
    const body = word.slice(double ? 2 : 1);
    let spec = findOption(body);
    let value: string | undefined;
    if (spec === undefined) {
      // Only our own additions and -help take `=VALUE`.
      const equals = body.indexOf('=');
      const before = equals < 0 ? undefined : findOption(body.slice(0, equals));
      if (before?.format !== undefined) {
        spec = before;
        value = body.slice(equals + 1);
        if (spec.format === 'json' && spec.name !== 'help' && value !== 'json')
          throw new OptionError(
            `${word}: unknown format '${value}'`,
            `emkit --${spec.name}=json, or emkit --${spec.name}`,
          );
      }
    }
    if (spec === undefined || (spec.own === true && !double)) throw unknownOption(word);
    if (spec.argument !== undefined && value === undefined) {
      if (i + 1 >= args.length)
        throw new OptionError(
          `${word}: requires an argument`,
          `emkit ${spell(spec)} ${spec.argument}    (emkit -help ${spec.name})`,
        );
      value = args[++i]!;
      options.push({ spec, value, typed: `${word} ${value}` });
    } else if (spec.name === 'help' && value === undefined && i + 1 < args.length && !args[i + 1]!.startsWith('-')) {
      value = args[++i]!;
      options.push({ spec, value, typed: `${word} ${value}` });
    } else {
      options.push({ spec, value, typed: word });
    }
  }
  return { options, positionals };
}

/** Splits at single commas; `,,` is one comma in a value. */
export function splitCommas(text: string): string[] {
  const out: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ',') part += text[i]!;
    else if (text[i + 1] === ',') {
      part += ',';
      i++;
    } else {
      out.push(part);
      part = '';
    }
  }
  out.push(part);
  return out;
}

/**
 * A `key=value,...` list. The first element without `=` belongs to `implied`; later ones are booleans (`x` = `x=on`, `nox` = off),
 * QEMU's short form. With `allowed`, other keys are refused in QEMU's words. Later values win.
 */
export function parseKeyValues(
  token: Token,
  implied: string | undefined,
  allowed: readonly string[] | undefined,
): Map<string, string> {
  const map = new Map<string, string>();
  splitCommas(token.value ?? '').forEach((element, i) => {
    const equals = element.indexOf('=');
    let key = equals < 0 ? element : element.slice(0, equals);
    let value = equals < 0 ? 'on' : element.slice(equals + 1);
    if (equals < 0 && i === 0 && implied !== undefined) {
      value = element;
      key = implied;
    } else if (equals < 0 && element === '') {
      return;
    }
    if (allowed !== undefined && !allowed.includes(key)) {
      const guess = nearest(key, allowed);
      throw new OptionError(
        `${token.typed}: Invalid parameter '${key}'`,
        `${guess === undefined ? '' : `did you mean ${guess}?   `}keys: ${allowed.join(', ')}    (emkit -help ${token.spec.name})`,
      );
    }
    map.set(key, value);
  });
  return map;
}
