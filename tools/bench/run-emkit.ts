/**
 * emkit as one process of the benchmark: guest and options as JSON in the first argument, serial port on standard output.
 * Bundled before use (bundle.ts), so that what is measured is code as it is shipped.
 */
import { existsSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { hearBranchHints, lowerEngineThreads } from '@emkit/launch-node';
import { createPc } from '@emkit/pc';
import type { PcOptions, TranslationStore } from '@emkit/pc';
import type { Guest } from './emulators.ts';

interface Job {
  readonly guest: Guest;
  readonly memoryMib: number;
  readonly cpu: string;
  readonly tier: NonNullable<PcOptions['tier']>;
  /** File of kept translations. Where it is missing it is made; later runs of this bundle leave it as it is. */
  readonly translations?: string;
}

// as the command does
lowerEngineThreads();
hearBranchHints();

const { guest, memoryMib, cpu, tier, translations } = JSON.parse(process.argv[2]) as Job;

function store(name: string): TranslationStore {
  return {
    load: () => Promise.resolve(existsSync(name) ? readFileSync(name) : undefined),
    save: (_key, bytes) => {
      if (!existsSync(name)) {
        writeFileSync(`${name}.unfinished`, bytes);
        renameSync(`${name}.unfinished`, name);
      }
      return Promise.resolve();
    },
  };
}

const file = (name: string): { name: string; bytes: Uint8Array } => ({ name, bytes: readFileSync(name) });
const pc = await createPc({
  memorySize: memoryMib * 2 ** 20,
  cpu,
  tier,
  kernel: file(guest.kind === 'multiboot' ? guest.elf : guest.kernel),
  append: guest.commandLine,
  ...(guest.kind === 'linux' ? { modules: [{ bytes: file(guest.initrd).bytes, commandLine: '' }] } : {}),
  serial: [
    {
      // A blocking write: what the guest said is heard when it was said.
      write: (bytes) => {
        for (let sent = 0; sent < bytes.length;) sent += writeSync(1, bytes, sent);
      },
      read: () => new Uint8Array(0),
      onReadable: undefined,
      onBreak: undefined,
    },
  ],
  ...(translations === undefined
    ? {}
    : { translations: { store: store(translations), build: 'this bundle', guest: 'the only one' } }),
  noReboot: true,
  warn: (text) => process.stderr.write(`${text}\n`),
});
// An orderly exit, so that translations are saved and --cpu-prof writes its file.
process.on('SIGTERM', () => (translations === undefined ? process.exit(0) : pc.quit()));
const exit = await pc.run();
if (exit.kind === 'quit') process.exit(0);
if (exit.kind !== 'shutdown') process.stderr.write(`${JSON.stringify(exit)}\n`);
process.exit(exit.kind === 'shutdown' ? 0 : 1);
