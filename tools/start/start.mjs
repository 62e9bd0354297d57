/**
 * `npm start [-- options]`: from a fresh clone to a Linux shell in this terminal.
 *
 * Installs the dependencies and bundles the command where that is needed, fetches Debian's kernel once, then runs `emkit`. All
 * arguments go to emkit; with a -kernel or -bios of your own nothing is fetched. Where Debian's tools are missing, or the fetch fails
 * for want of a network, the built-in guest boots instead. Own options: `--arch x86_64` (amd64's kernel and processor), `--installer` (the whole Debian installer), `--refresh`.
 */
import { createRequire } from 'node:module';
import { bootstrap } from '../bootstrap.mjs';
import { ensureKernel, missingTools } from '../fetch-kernel/fetch-kernel.mjs';
import { createProgress } from '../fetch-kernel/progress.mjs';
import { BUNDLE, LAUNCH, ensureBundle } from './bundle.mjs';
import { planStart } from './plan.mjs';

const say = (text) => process.stderr.write(`${text}\n`);

async function main() {
  bootstrap();
  const progress = createProgress();
  ensureBundle(progress);
  const size =
    process.stdout.isTTY && process.stdout.rows > 0
      ? { rows: process.stdout.rows, columns: process.stdout.columns }
      : undefined;
  const plan = planStart(process.argv.slice(2), size);
  let args = plan.emkitArguments;
  if (plan.needsKernel) {
    const abort = new AbortController();
    const interrupt = () => abort.abort();
    process.once('SIGINT', interrupt);
    try {
      const files = await ensureKernel({
        arch: plan.arch,
        refresh: plan.refresh,
        full: plan.installer,
        signal: abort.signal,
        progress,
      });
      args = plan.withKernel(files);
    } catch (error) {
      if (abort.signal.aborted) {
        say('Interrupted; nothing was left behind.');
        process.exit(130);
      }
      const why = missingTools() === undefined ? error.message : `${error.message} (Debian and Ubuntu have them)`;
      say(`No Debian kernel: ${why}`);
      say('With a kernel of your own:  npm start -- --kernel bzImage --initrd initrd.gz --append console=ttyS0');
      if (plan.installer) process.exit(1);
      say('Booting the built-in demo guest instead.\n');
      args = ['--demo', ...plan.emkitArguments];
    } finally {
      process.removeListener('SIGINT', interrupt);
    }
  }
  process.argv = [process.argv[0], BUNDLE, ...args];
  createRequire(import.meta.url)(LAUNCH).run(BUNDLE);
}

try {
  await main();
} catch (error) {
  say(`npm start: ${error.message}`);
  process.exit(1);
}
