/** The command's entry: this process's streams and signals as a Tool. --version answers before anything else is loaded. */
import { constants } from 'node:os';
import { basename } from 'node:path';
import { VERSION } from './version.ts';
import type { Tool } from './tool.ts';

const args = process.argv.slice(2);
const program = basename(process.argv[1] ?? 'emkit-nbd')
  .replace(/\.[cm]?[jt]s$/, '')
  .replace(/^main$/, 'emkit-nbd');

if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  process.stdout.write(`${program} ${VERSION}\n`);
} else {
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  void run();
}

async function run(): Promise<void> {
  const { runProgram } = await import('./program.ts');
  process.exitCode = await runProgram(args, createTool());
  // a client that never reads must not keep the command alive; what is printed is out before
  process.stdout.write('', () => process.exit());
}

function createTool(): Tool {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      // the second one does not wait for clients
      if (abort.signal.aborted) process.exit(128 + constants.signals[signal]);
      abort.abort();
    });
  return {
    program,
    print: (text) => process.stdout.write(text),
    say(text, hint) {
      const below = hint === undefined ? '' : `  ${hint.replaceAll('\n', '\n  ')}\n`;
      process.stderr.write(`${program}: ${text}\n${below}`);
    },
    isTerminal: process.stderr.isTTY === true,
    signal: abort.signal,
  };
}
