/**
 * Which of the command's functions a run uses, as a name: compiled code is kept by it. The subcommand; of a conversion also the formats on both sides,
 * since reading one and writing another are different functions, and what is not kept is compiled again in each run.
 */
const FORMATS = new Set(['raw', 'qcow2', 'vmdk', 'qed', 'luks']);

/** `words`: the command line. Only formats that there are count: else each misspelt word would leave a file behind. */
export function launchPart(words: readonly string[]): string | undefined {
  const [command, ...rest] = words;
  if (command !== 'convert') return command;
  const formatAfter = (option: string): string => {
    const word = rest[rest.indexOf(option) + 1] as string;
    return rest.includes(option) && FORMATS.has(word) ? `-${word}` : '';
  };
  return `${command}${formatAfter('-f')}${formatAfter('-O')}`;
}
