/** One subcommand's words to values: commander does the work, QEMU's (getopt's) words say what is wrong. */
import { Command, CommanderError, Option } from 'commander';
import { closest, distance } from 'fastest-levenshtein';
import { Values, type CommandSpec, type Invocation, type OptionRow } from './command.ts';
import { UsageError } from './tool-error.ts';

export function parseInvocation(spec: CommandSpec, words: readonly string[]): Invocation | 'help' {
  const command = new Command(spec.name)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .helpOption(false)
    .allowExcessArguments()
    .argument('[operands...]')
    .option('-h, --help');
  const keys = new Map<string, { readonly row: OptionRow; readonly isNegated: boolean }>();
  for (const row of spec.options) {
    const option = new Option(flags(row));
    if (row.isList === true)
      option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    command.addOption(option);
    keys.set(option.attributeName(), { row, isNegated: option.negate });
  }
  try {
    command.parse(negativeSizesLast(words), { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) throw usageError(error, spec);
    throw error;
  }
  const given = command.opts<Record<string, string | boolean | string[]>>();
  if (given['help'] === true) return 'help';
  const values = new Map<string, string | boolean | readonly string[]>();
  for (const [name, { row, isNegated }] of keys) {
    // `--no-create` is a switch like any other here; to commander it is `create`, which is on unless it is given
    const value = isNegated ? given[name] === false : given[name];
    if (value !== undefined) values.set(row.key, value);
  }
  return { values: new Values(values), operands: command.args };
}

function flags({ short, long, arg }: OptionRow): string {
  const names = [...(short !== undefined ? [`-${short}`] : []), ...(long !== undefined ? [`--${long}`] : [])].join(
    ', ',
  );
  return arg === undefined ? names : `${names} <${arg}>`;
}

/** `resize FILE -1G`: the size is no option. */
function negativeSizesLast(words: readonly string[]): string[] {
  const isSize = (word: string): boolean => /^-\d/.test(word);
  if (words.includes('--') || !words.some(isSize)) return [...words];
  return [...words.filter((word) => !isSize(word)), '--', ...words.filter(isSize)];
}

function usageError(error: CommanderError, spec: CommandSpec): UsageError {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  if (error.code === 'commander.unknownOption') {
    if (!quoted.startsWith('--')) return new UsageError(`invalid option -- '${quoted.slice(1, 2)}'`);
    const name = quoted.replace(/=.*$/, '');
    const names = spec.options.flatMap((row) => (row.long === undefined ? [] : [`--${row.long}`]));
    const near = names.length === 0 ? undefined : closest(name, names);
    const hint = near !== undefined && distance(name, near) <= 2 ? `did you mean ${near}?` : undefined;
    return new UsageError(`unrecognized option '${name}'`, hint);
  }
  if (error.code === 'commander.optionMissingArgument') {
    const letter = /^-(\w)(,|$| )/.exec(quoted)?.[1];
    const long = /(--[\w-]+)/.exec(quoted)?.[1];
    return new UsageError(
      letter !== undefined
        ? `option requires an argument -- '${letter}'`
        : `option '${long ?? quoted}' requires an argument`,
    );
  }
  return new UsageError(error.message.replace(/^error: /, ''));
}
