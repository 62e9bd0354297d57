/** From words to an exit code: finds the subcommand, prints what goes wrong in QEMU's form with the remedy below. */
import { isBlockError } from '@emkit/storage';
import { COMMANDS } from './command-table.ts';
import type { CommandSpec } from './command.ts';
import { didYouMean } from './did-you-mean.ts';
import { ToolError, UsageError } from './tool-error.ts';
import type { Tool } from './tool.ts';

/** Exit code of a fault of ours, and of an end by Ctrl-C. */
const BUG_EXIT = 70;
const INTERRUPTED_EXIT = 130;

export async function runProgram(words: readonly string[], tool: Tool): Promise<number> {
  try {
    return await dispatch(words, tool);
  } catch (error) {
    return report(error, tool);
  }
}

async function dispatch(words: readonly string[], tool: Tool): Promise<number> {
  const [first, ...rest] = words;
  if (first === undefined) throw new UsageError('Not enough arguments');
  if (first === '-h' || first === '--help') {
    tool.print((await import('./help.ts')).generalHelp(tool.program));
    return 0;
  }
  if (first === '-V' || first === '--version') {
    tool.print((await import('./help.ts')).versionText(tool.program));
    return 0;
  }
  if (first.startsWith('-')) throw new UsageError(`unrecognized option '${first}'`);
  const spec = COMMANDS.find(({ name }) => name === first);
  if (spec === undefined)
    throw new UsageError(
      `Command not found: ${first}`,
      await didYouMean(
        first,
        COMMANDS.map(({ name }) => name),
      ),
    );
  return runCommand(spec, rest, tool);
}

async function runCommand(spec: CommandSpec, words: readonly string[], tool: Tool): Promise<number> {
  const { parseInvocation } = await import('./parse.ts');
  const invocation = await parseInvocation(spec, words);
  if (invocation === 'help') {
    tool.print((await import('./help.ts')).commandHelp(tool.program, spec));
    return 0;
  }
  const body = await spec.load();
  return body(tool, invocation);
}

function report(error: unknown, tool: Tool): number {
  if (error instanceof ToolError) {
    if (error.message !== '') tool.say(error.message, error.hint);
    if (error instanceof UsageError) tool.note(`Try '${tool.program} --help' for more information\n`);
    return error.exitCode;
  }
  if (isBlockError(error)) {
    if (error.kind === 'aborted') return INTERRUPTED_EXIT;
    tool.say(error.message, error.hint);
    return 1;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  tool.say('this is a fault of emkit, not of yours. Please report it, with these lines and the command:');
  tool.note(`${text}\n`);
  return BUG_EXIT;
}
