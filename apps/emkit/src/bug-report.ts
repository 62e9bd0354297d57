/** Writes what is needed to mend a bug of ours to a file: stack, arguments, versions. No guest data. */
import { writeFileSync } from 'node:fs';
import { arch, platform, release, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives the sentence that tells where it is. */
export function writeReport(error: unknown, args: readonly string[], version: string): string {
  const file = join(tmpdir(), `emkit-report-${process.pid}.txt`);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const text = [
    `emkit ${version}, Node ${process.version}, ${platform()} ${release()} ${arch()}`,
    `arguments: ${JSON.stringify(args)}`,
    '',
    stack,
    '',
  ].join('\n');
  try {
    writeFileSync(file, text, { mode: 0o600 });
    return `A report is in ${file}; please attach it to an issue.`;
  } catch {
    return `No report could be written:\n${text}`;
  }
}
