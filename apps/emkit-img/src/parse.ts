/**
 * One subcommand's words to values: Node's own parseArgs splits them, QEMU's words say what is wrong. Not commander, which this began with: it is
 * 15 ms of every start, since it loads child processes and sockets.
 */
import { parseArgs } from 'node:util';
import { Values, type CommandSpec, type Invocation, type OptionRow } from './command.ts';
import { didYouMean } from './did-you-mean.ts';
import { UsageError } from './tool-error.ts';

export async function parseInvocation(spec: CommandSpec, words: readonly string[]): Promise<Invocation | 'help'> {
  const rows = new Map(spec.options.map((row) => [nameOf(row), row]));
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    help: { type: 'boolean', short: 'h' },
  };
  for (const [name, { short, arg }] of rows)
    options[name] = { type: arg === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) };
  // not strict: mistakes are found below, for QEMU's words
  const { tokens } = parseArgs({
    args: negativeSizesLast(words),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | boolean | readonly string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const word = token.inlineValue === true && rawName.startsWith('--') ? `${rawName}=${value}` : rawName;
    if (name === 'help') return 'help';
    const row = rows.get(name);
    if (row === undefined || (rawName.startsWith('--') && row.long !== name))
      throw await unknownOption(word, rawName, spec);
    if (row.arg === undefined) {
      if (value !== undefined) throw await unknownOption(word, rawName, spec);
      values.set(row.key, true);
    } else if (value === undefined) {
      throw new UsageError(`missing argument for option '${rawName}'`);
    } else if (row.isList === true) {
      values.set(row.key, [...((values.get(row.key) as string[] | undefined) ?? []), value]);
    } else values.set(row.key, value);
  }
  return { values: new Values(values), operands };
}

/** What parseArgs knows the option by; one with a letter alone gets a name that cannot be typed. */
const nameOf = ({ long, short }: OptionRow): string => long ?? `-${short ?? ''}`;

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
