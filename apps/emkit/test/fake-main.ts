/** The command with the fake machine behind it, as a process of its own: for tests with pipes, signals and terminals. */
import { main } from '../src/cli.ts';
import { createFakeModule } from './fake-machine.ts';

const code = await main(process.argv.slice(2), {
  program: 'emkit',
  version: '0.0.0-test',
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  load: () => Promise.resolve(createFakeModule()),
  code: import.meta.filename,
  probe: () => Promise.resolve('multiboot'),
});
process.exit(code);
