/**
 * One subcommand's words to values, as getopt_long(3) splits them; QEMU's words say what is wrong. By no library, since this is a part of each start: commander loads child
 * processes and sockets (15 ms), Node's parseArgs costs 2 ms.
 */
import { Values, type CommandSpec, type Invocation, type OptionRow } from './command.ts';
import { didYouMean } from './did-you-mean.ts';
import { UsageError } from './tool-error.ts';

/** An option as it stands on the command line. */
interface Given {
  /** `-f` or `--format`. */
  readonly name: string;
  readonly row: OptionRow | undefined;
  /** What stands in the same word: `--format=raw`, `-fraw`. */
  readonly joined: string | undefined;
}

const HELP: OptionRow = { short: 'h', long: 'help', key: 'help', help: '' };

export async function parseInvocation(spec: CommandSpec, words: readonly string[]): Promise<Invocation | 'help'> {
  const values = new Map<string, string | boolean | readonly string[]>();
  const operands: string[] = [];
  const rest = negativeSizesLast(words);
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      operands.push(...rest);
      break;
    }
    if (word === '-' || !word.startsWith('-')) {
      operands.push(word);
      continue;
    }
    for (const { name, row, joined } of optionsIn(word, spec.options)) {
      if (row === HELP) return 'help';
      if (row === undefined || (row.arg === undefined && joined !== undefined))
        throw await unknownOption(joined === undefined ? name : word, name, spec);
      if (row.arg === undefined) {
        values.set(row.key, true);
        continue;
      }
      const value = joined ?? rest.shift();
      if (value === undefined) throw new UsageError(`missing argument for option '${name}'`);
      if (row.isList === true) values.set(row.key, [...((values.get(row.key) as string[] | undefined) ?? []), value]);
      else values.set(row.key, value);
    }
  }
  return { values: new Values(values), operands };
}

/** One, or several letters behind one dash, of which the last may have an argument. */
function* optionsIn(word: string, rows: readonly OptionRow[]): Generator<Given> {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const long = name.slice(2);
    const row = long === HELP.long ? HELP : rows.find((other) => other.long === long);
    return yield { name, row, joined: equals < 0 ? undefined : word.slice(equals + 1) };
  }
  for (let at = 1; at < word.length; at++) {
    const short = word[at];
    const row = short === HELP.short ? HELP : rows.find((other) => other.short === short);
    const takesRest = row?.arg !== undefined && at + 1 < word.length;
    yield { name: `-${short}`, row, joined: takesRest ? word.slice(at + 1) : undefined };
    if (takesRest) return;
  }
}

/** `resize FILE -1G`: the size is no option. */
function negativeSizesLast(words: readonly string[]): string[] {
  const isSize = (word: string): boolean => /^-\d/.test(word);
  if (words.includes('--') || !words.some(isSize)) return [...words];
  return [...words.filter((word) => !isSize(word)), '--', ...words.filter(isSize)];
}

async function unknownOption(word: string, name: string, spec: CommandSpec): Promise<UsageError> {
  const names = spec.options.flatMap((row) => (row.long === undefined ? [] : [`--${row.long}`]));
  const near = name.startsWith('--') && !names.includes(name) ? await didYouMean(name, names) : undefined;
  return new UsageError(`unrecognized option '${word}'`, near);
}
