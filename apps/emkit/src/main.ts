/**
 * Entry of the `emkit` command. --version answers before anything else is loaded.
 */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lowerEngineThreads } from '@emkit/launch-node';
import { VERSION } from './version.ts';

const args = process.argv.slice(2);

if (args.length === 1 && /^--?version$/.test(args[0]!)) {
  process.stdout.write(`emkit ${VERSION}\n`);
} else {
  // A closed stdout or stderr is noticed where it matters (run-machine.ts), not as an uncaught event.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  lowerEngineThreads();
  void run();
}

async function run(): Promise<void> {
  const { main } = await import('./cli.ts');
  const { loadMachine, probeKernel } = await import('./load-machine.ts');
  const code = await main(args, {
    program: basename(process.argv[1] ?? 'emkit')
      .replace(/\.[cm]?[jt]s$/, '')
      .replace(/^main$/, 'emkit'),
    version: VERSION,
    code: fileURLToPath(import.meta.url),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    load: loadMachine,
    probe: probeKernel,
  });
  process.exitCode = code;
  // Whatever the machine left open (timers, sockets) must not keep the command alive; output is written synchronously.
  process.exit(code);
}
