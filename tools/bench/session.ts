/** What all benchmarks do before and after their runs: choose emulators, say what is measured on, print and store the result. */
import { rmSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import { bundleRunner, ROOT } from './bundle.ts';
import { choosePeers, emkit } from './emulators.ts';
import type { Emulator } from './emulators.ts';
import type { GuestBits } from './guest-bits.ts';
import { gitCommit, hostFacts, isBusy } from './host.ts';
import type { HostFacts } from './host.ts';
import { keptFile, report, writeJson } from './kept.ts';
import { resultMarkdown, writeMarkdown } from './markdown.ts';
import type { Result } from './markdown.ts';
import type { CommonOptions } from './options.ts';
import { textTable } from './table.ts';

export const note = (text: string): void => void process.stderr.write(`bench: ${text}\n`);

/** `warm`: emkit a second time, with translations that its first run leaves. */
export async function emulatorsFor(options: CommonOptions, bits: GuestBits, warm = false): Promise<Emulator[]> {
  const peers = choosePeers(options.peers, bits, note);
  const profileDir = options.cpuProf === undefined ? undefined : resolve(options.cpuProf);
  const commit = gitCommit();
  const bundle = await bundleRunner(profileDir);
  const version = commit === undefined ? '(unknown version)' : commit;
  const own = { tier: options.tier, bits, ...(profileDir === undefined ? {} : { profileDir }) };
  const translations = `${bundle}.translations`;
  if (warm) process.once('exit', () => rmSync(translations, { force: true }));
  return [emkit(bundle, version, own), ...(warm ? [emkit(bundle, version, { ...own, translations })] : []), ...peers];
}

export function startFacts(emulators: readonly Emulator[]): HostFacts {
  const facts = hostFacts(emulators);
  note(`${facts.machine}; ${facts.node}; ${facts.versions.join(', ')}`);
  if (isBusy(facts)) note(`the machine is busy (load average ${facts.load.toFixed(1)}): expect noise`);
  return facts;
}

/** Prints, writes the files that were asked for, and gives the exit code. */
export async function finish(
  options: Pick<CommonOptions, 'json' | 'markdown' | 'keep'>,
  benchmark: string,
  what: string,
  host: HostFacts,
  result: Result,
  data: object,
): Promise<number> {
  const { table, summary, errors, plots = [] } = result;
  console.log(textTable(table));
  for (const error of errors) console.log(`ERROR ${error}`);
  for (const line of summary) console.log(line);
  // no path of this machine's among what is kept
  const given = Object.entries(options).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === 'string' && isAbsolute(value) ? relative(ROOT, value) : value,
  ]);
  const stored = {
    benchmark,
    what,
    host,
    options: Object.fromEntries(given) as object,
    ...data,
    table,
    summary,
    errors,
    plots,
  };
  if (options.json !== undefined) writeJson(options.json, stored);
  if (options.markdown !== undefined) writeMarkdown(options.markdown, benchmark, resultMarkdown(what, host, result));
  if (options.keep) {
    writeJson(keptFile(benchmark), stored);
    await report();
  }
  return errors.length === 0 ? 0 : 1;
}
