/**
 * npm run lock-step -- --kernel FILE [options]: the same guest under emkit and under QEMU, instruction by instruction, to the first
 * instruction after which the two processors differ. Exit code 0: none did; 1: one did; 2: a wrong command line, no QEMU.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { Comparison, isFromOutside } from './compare.ts';
import type { CpuState } from './cpu-state.ts';
import { loadedRanges } from './elf-ranges.ts';
import { Reference } from './reference.ts';
import { Subject } from './subject.ts';

const HELP = `npm run lock-step -- --kernel FILE [options]
  --kernel FILE       multiboot or PVH ELF, or a Linux kernel
  --initrd FILE, --append TEXT, --memory MIB (64), --cpu NAME (max)
  --range START+SIZE  where to compare, hexadecimal with 0x; may be repeated. Default: where the ELF file is loaded
  --count N           instructions at most (1000000)
  --keep-going N      after a difference take the reference's registers and go on, up to N of them
  --context N         instructions shown before a difference (12)
  --qemu PROGRAM      default qemu-system-x86_64
`;
const MAX_OUTSIDE = 50_000_000;
const MIB = 2 ** 20;

class UsageError extends Error {}

function readOptions(): Record<string, string | string[] | undefined> {
  const string = { type: 'string' } as const;
  try {
    return parseArgs({
      options: {
        ...{ kernel: string, initrd: string, append: string, memory: string, cpu: string, count: string },
        ...{
          'keep-going': string,
          context: string,
          qemu: string,
          range: { ...string, multiple: true },
          help: { type: 'boolean' },
        },
      },
    }).values as Record<string, string | string[] | undefined>;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
const number = (text: unknown, otherwise: number): number => {
  const n = text === undefined ? otherwise : Number(text);
  if (!Number.isSafeInteger(n) || n < 0) throw new UsageError(`not a number: ${String(text)}`);
  return n;
};

/** START+SIZE as numbers. */
function span(range: string): readonly [from: number, to: number] {
  const m = /^(0x[0-9a-f]+)\+(0x[0-9a-f]+)$/i.exec(range);
  if (m === null) throw new UsageError(`not START+SIZE: ${range}`);
  const from = Number(BigInt.asIntN(64, BigInt(m[1]!)));
  return [from, from + Number(m[2])];
}

async function main(): Promise<number> {
  const o = readOptions();
  if (o['help'] !== undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  if (typeof o['kernel'] !== 'string') throw new UsageError('--kernel is missing');
  const kernel = readFileSync(o['kernel']);
  const ranges = (o['range'] as string[] | undefined) ?? loadedRanges(kernel);
  if (ranges.length === 0) throw new UsageError('no ELF file: --range is needed');
  const spans = ranges.map(span);
  const memory = number(o['memory'], 64);
  const cpu = String(o['cpu'] ?? 'max');
  const append = o['append'] as string | undefined;
  const initrd = o['initrd'] as string | undefined;
  const subject = await Subject.create({
    memorySize: memory * MIB,
    cpu,
    kernel: { name: basename(o['kernel']), bytes: kernel },
    ...(append === undefined ? {} : { append }),
    ...(initrd === undefined ? {} : { modules: [{ bytes: readFileSync(initrd), commandLine: basename(initrd) }] }),
  });
  const reference = new Reference({
    program: String(o['qemu'] ?? 'qemu-system-x86_64'),
    args: [
      ...['-M', 'pc', '-cpu', cpu, '-m', String(memory), '-kernel', o['kernel']],
      ...(append === undefined ? [] : ['-append', append]),
      ...(initrd === undefined ? [] : ['-initrd', initrd]),
    ],
    ranges,
  });
  try {
    subject.writeMemory(await reference.memoryAt(subject.pc, memory * MIB));
    const inside = (pc: number): boolean => spans.some(([from, to]) => pc >= from && pc < to);
    return await compareAll(subject, reference, inside, {
      count: number(o['count'], 1_000_000),
      keepGoing: number(o['keep-going'], 0),
      context: number(o['context'], 12),
    });
  } finally {
    reference.end();
  }
}

const sameRegisters = (a: CpuState, b: CpuState | undefined): boolean =>
  b !== undefined && a.flags === b.flags && [...a.registers].every(([name, value]) => b.registers.get(name) === value);

interface Limits {
  readonly count: number;
  readonly keepGoing: number;
  readonly context: number;
}

async function compareAll(
  subject: Subject,
  reference: Reference,
  inside: (pc: number) => boolean,
  limits: Limits,
): Promise<number> {
  const comparison = new Comparison();
  const history: string[] = [];
  let compared = 0;
  let differences = 0;
  let last = '';
  let lastIp = '';
  let previous: CpuState | undefined;
  for await (const want of reference.states()) {
    if (previous === undefined) subject.take(want);
    else {
      // logged twice: QEMU begins an instruction again that writes to a page it has translated code of; a repeated string
      // instruction is logged once for each repetition, and done at once here
      if (want.ip === lastIp && (last.startsWith('rep') || sameRegisters(want, previous))) continue;
      const { pc } = subject;
      subject.step();
      for (let n = 0; subject.pc === pc && last.startsWith('rep') && n < MAX_OUTSIDE; n++) subject.step();
      for (let n = 0; !inside(subject.pc) && !subject.halted && n < MAX_OUTSIDE; n++) subject.step();
      compared++;
    }
    const got = subject.state();
    const problems = comparison.differences(got, want, last);
    if (problems.length > 0) {
      differences++;
      process.stdout.write(`difference after instruction ${compared}, ${last} at ${lastIp}:\n`);
      for (const line of history.slice(-limits.context)) process.stdout.write(`    ${line}\n`);
      for (const line of problems) process.stdout.write(`  ${line}\n`);
      // another way through the program has nothing to compare with
      if (differences > limits.keepGoing || got.ip !== want.ip) break;
    }
    if (problems.length > 0 || got.flags !== want.flags || isFromOutside(last)) subject.take(want);
    if (compared >= limits.count) break;
    if (subject.halted) {
      process.stdout.write('the processor is halted\n');
      break;
    }
    last = subject.instruction();
    lastIp = want.ip;
    previous = want;
    history.push(`${lastIp.padEnd(17)} ${last}`);
    if (history.length > 4 * limits.context) history.splice(0, 2 * limits.context);
  }
  process.stdout.write(`${compared} instructions compared, ${differences} differences\n`);
  return differences > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const known = error instanceof UsageError || (error as NodeJS.ErrnoException).code !== undefined;
  if (!known) throw error;
  process.stderr.write(`lock-step: ${(error as Error).message}\n${HELP}`);
  process.exitCode = 2;
}
