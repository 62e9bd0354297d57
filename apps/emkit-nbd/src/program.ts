/** From words to an exit code; prints what goes wrong in QEMU's form with the remedy below. */
import { isBlockError } from '@emkit/storage';
import { parseCommandLine } from './command-line.ts';
import { ToolError, UsageError } from './tool-error.ts';
import type { Tool } from './tool.ts';
import { VERSION } from './version.ts';

/** Exit codes of an error, and of a fault of ours. */
const ERROR_EXIT = 1;
const BUG_EXIT = 70;

export async function runProgram(words: readonly string[], tool: Tool): Promise<number> {
  try {
    return await dispatch(words, tool);
  } catch (error) {
    return report(error, tool);
  }
}

async function dispatch(words: readonly string[], tool: Tool): Promise<number> {
  const options = parseCommandLine(words);
  switch (options.action) {
    case 'help':
      tool.print((await import('./help.ts')).helpText(tool.program));
      return 0;
    case 'version':
      tool.print(`${tool.program} ${VERSION}\n`);
      return 0;
    case 'list':
      return (await import('./list-exports.ts')).listExports(tool, options);
    case 'serve':
      return (await import('./serve.ts')).serve(tool, options);
  }
}

function report(error: unknown, tool: Tool): number {
  if (error instanceof ToolError) {
    const more = error instanceof UsageError ? `Try \`${tool.program} --help' for more information.` : undefined;
    tool.say(error.message, [error.hint, more].filter((line) => line !== undefined).join('\n') || undefined);
    return ERROR_EXIT;
  }
  if (isBlockError(error)) {
    tool.say(error.message, error.hint);
    return ERROR_EXIT;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  tool.say('this is a fault of emkit, not of yours. Please report it, with these lines and the command:', text);
  return BUG_EXIT;
}
