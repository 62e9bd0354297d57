import { describe, expect, it } from 'vitest';
import { COMMANDS } from './command-table.ts';
import type { CommandSpec } from './command.ts';
import { commandHelp, generalHelp } from './help.ts';
import { parseInvocation } from './parse.ts';
import { createProgress } from './progress.ts';
import { runProgram } from './program.ts';
import { ToolError } from './tool-error.ts';
import type { Tool } from './tool.ts';

const spec = (name: string): CommandSpec => COMMANDS.find((c) => c.name === name)!;
const parse = async (
  name: string,
  ...words: string[]
): Promise<Exclude<Awaited<ReturnType<typeof parseInvocation>>, 'help'>> => {
  const result = await parseInvocation(spec(name), words);
  if (result === 'help') throw new Error('help');
  return result;
};

describe('options', () => {
  it('stand before, between and after the names, joined or apart, short or long', async () => {
    for (const words of [
      ['-p', '-q', '-f', 'raw', 'a', 'b', '-O', 'qcow2'],
      ['-pq', '-fraw', 'a', '-Oqcow2', 'b'],
      ['--progress', '--quiet', '--format=raw', 'a', 'b', '--target-format', 'qcow2'],
    ]) {
      const { values, operands } = await parse('convert', ...words);
      expect(operands).toEqual(['a', 'b']);
      expect([values.has('progress'), values.has('quiet'), values.text('format'), values.text('targetFormat')]).toEqual(
        [true, true, 'raw', 'qcow2'],
      );
    }
  });

  it('that are lists are collected, others: the last counts', async () => {
    const { values } = await parse('create', '-o', 'a=1', '-f', 'raw', '-o', 'b=2', '-f', 'qed', 'x', '1M');
    expect(values.list('options')).toEqual(['a=1', 'b=2']);
    expect(values.text('format')).toBe('qed');
  });

  it('that begin with --no- are off unless they are given', async () => {
    expect((await parse('convert', 'a', 'b')).values.has('noCreate')).toBe(false);
    expect((await parse('convert', '-n', 'a', 'b')).values.has('noCreate')).toBe(true);
    expect((await parse('bench', '--no-drain', 'a')).values.has('noDrain')).toBe(true);
  });

  it('end with --', async () => {
    expect((await parse('info', '--', '-x')).operands).toEqual(['-x']);
  });

  it('may stand behind one dash together, the last with its argument; a dash alone is a name', async () => {
    const { values, operands } = await parse('convert', '-pqfraw', '-', '--target-format=', '-cO', 'qcow2', 'b');
    expect(operands).toEqual(['-', 'b']);
    expect(['progress', 'quiet', 'compress'].map((key) => values.has(key))).toEqual([true, true, true]);
    expect([values.text('format'), values.text('targetFormat')]).toEqual(['raw', 'qcow2']);
    expect((await parse('convert', '-f', '--', 'a', 'b')).values.text('format')).toBe('--');
    expect((await parse('convert', '--format=a=b', 'a', 'b')).values.text('format')).toBe('a=b');
  });

  it('ask for help behind others too', async () => {
    expect(await parseInvocation(spec('convert'), ['-ph', 'a'])).toBe('help');
  });

  it('leave a negative size alone', async () => {
    expect((await parse('resize', '--shrink', 'disk', '-1G')).operands).toEqual(['disk', '-1G']);
    expect((await parse('resize', 'disk', '+1G')).operands).toEqual(['disk', '+1G']);
  });

  it.each([
    ['info', ['--foo', 'x'], "unrecognized option '--foo'"],
    ['info', ['-x'], "unrecognized option '-x'"],
    ['convert', ['-pxf', 'raw', 'a', 'b'], "unrecognized option '-x'"],
    ['convert', ['---c', 'a', 'b'], "unrecognized option '---c'"],
    ['info', ['-f'], "missing argument for option '-f'"],
    ['info', ['--object'], "missing argument for option '--object'"],
    ['convert', ['--quiet=1', 'a', 'b'], "unrecognized option '--quiet=1'"],
  ])('of %s: %j is refused in the words of QEMU', async (name, words, message) => {
    await expect(parse(name, ...words)).rejects.toThrowError(message);
  });

  it('that are nearly right get a hint', async () => {
    await expect(parse('info', '--outptu=json', 'x')).rejects.toThrowError(
      expect.objectContaining({ hint: 'did you mean --output?' }),
    );
  });

  it('have one meaning per letter and name in a command', async () => {
    for (const { name, options } of COMMANDS) {
      for (const kind of ['short', 'long', 'key'] as const) {
        const given = options.flatMap((row) => row[kind] ?? []);
        expect([name, new Set(given).size]).toEqual([name, given.length]);
      }
      expect(options.every(({ short, long }) => short !== undefined || long !== undefined)).toBe(true);
    }
  });
});

/** The words of each of qemu-img 7.2's usage lines (`qemu-img --help`): scripts use them. */
const QEMU_OPTIONS: Record<string, string> = {
  amend: '--object --image-opts -p -q -f -t --force -o',
  bench: '-c -d -f --flush-interval -i -n --no-drain -o --pattern -q -s -S -t -w -U',
  bitmap: '--merge --add --remove --clear --enable --disable -b -F -g --object --image-opts -f',
  check: '--object --image-opts -q -f --output -r -T -U',
  commit: '--object --image-opts -q -f -t -b -r -d -p',
  compare: '--object --image-opts -f -F -T -p -q -s -U',
  convert:
    '--object --image-opts --target-image-opts --target-is-zero --bitmaps -U -C -c -p -q -n -f -t -T -O -B -F -o -l -S -r -m -W --salvage',
  create: '--object -q -f -b -F -u -o',
  dd: '--image-opts -U -f -O',
  info: '--object --image-opts -f --output --backing-chain -U',
  map: '--object --image-opts -f --start-offset --max-length --output -U',
  measure: '--output -O -o --size --object --image-opts -f -l',
  snapshot: '--object --image-opts -U -q -l -a -c -d',
  rebase: '--object --image-opts -U -q -f -t -T -p -u -b -F',
  resize: '--object --image-opts -f --preallocation -q --shrink',
};

it('every option of qemu-img 7.2 is there', async () => {
  for (const [name, list] of Object.entries(QEMU_OPTIONS)) {
    const own = spec(name).options.flatMap(({ short, long }) => [`-${short ?? ''}`, `--${long ?? ''}`]);
    expect([name, list.split(' ').filter((option) => !own.includes(option))]).toEqual([name, []]);
  }
  expect(COMMANDS.map(({ name }) => name).sort()).toEqual(Object.keys(QEMU_OPTIONS).sort());
});

describe('help', () => {
  it('fits a terminal where it is prose and names every command', async () => {
    const text = generalHelp('emkit-img');
    for (const { name } of COMMANDS) expect(text).toContain(`\n  ${name}`);
    for (const c of COMMANDS)
      for (const line of commandHelp('emkit-img', c).split('\n').slice(1)) expect(line.length).toBeLessThanOrEqual(110);
  });
});

interface Captured extends Tool {
  out: string;
  err: string;
}

function fakeTool(): Captured {
  const tool: Captured = {
    program: 'emkit-img',
    out: '',
    err: '',
    print: (text) => void (tool.out += text),
    say: (text, hint) => void (tool.err += `emkit-img: ${text}\n${hint === undefined ? '' : `  ${hint}\n`}`),
    note: (text) => void (tool.err += text),
    signal: new AbortController().signal,
    progress: () => createProgress('none', { stdout: () => {}, stderr: () => {}, isTerminal: false, now: () => 0 }),
    now: () => 0,
  };
  return tool;
}

describe('the program', () => {
  it.each([
    [[], 1, "emkit-img: Not enough arguments\nTry 'emkit-img --help' for more information\n"],
    [['foo'], 1, "emkit-img: Command not found: foo\nTry 'emkit-img --help' for more information\n"],
    [
      ['covnert'],
      1,
      "emkit-img: Command not found: covnert\n  did you mean convert?\nTry 'emkit-img --help' for more information\n",
    ],
    [['-x'], 1, "emkit-img: unrecognized option '-x'\nTry 'emkit-img --help' for more information\n"],
  ])('%j ends with %d', async (words, code, err) => {
    const tool = fakeTool();
    expect(await runProgram(words, tool)).toBe(code);
    expect(tool.err).toBe(err);
    expect(tool.out).toBe('');
  });

  it('prints help and version on stdout', async () => {
    for (const words of [['--help'], ['-h'], ['-V'], ['--version'], ['info', '--help']]) {
      const tool = fakeTool();
      expect(await runProgram(words, tool)).toBe(0);
      expect(tool.out.length).toBeGreaterThan(10);
      expect(tool.err).toBe('');
    }
  });
});

describe('progress', () => {
  const run = (mode: 'shown' | 'auto' | 'none', isTerminal: boolean, stepMs: number): { out: string; err: string } => {
    let now = 0;
    const seen = { out: '', err: '' };
    const progress = createProgress(mode, {
      stdout: (t) => void (seen.out += t),
      stderr: (t) => void (seen.err += t),
      isTerminal,
      now: () => now,
    });
    for (const done of [0.25, 0.5, 0.4, 1]) {
      now += stepMs;
      progress.update(done);
    }
    progress.end(true);
    return seen;
  };

  it('is as qemu-img prints it with -p', async () => {
    expect(run('shown', false, 100).out).toBe(
      '    (0.00/100%)\r    (25.00/100%)\r    (50.00/100%)\r    (100.00/100%)\r    (100.00/100%)\r\n',
    );
  });

  it('comes by itself on a terminal once a command takes long, and leaves no trace', async () => {
    expect(run('auto', true, 100)).toEqual({ out: '', err: '' });
    expect(run('auto', false, 1000)).toEqual({ out: '', err: '' });
    const { out, err } = run('auto', true, 1000);
    expect(out).toBe('');
    expect(err).toMatch(/^ {4}\(25\.00\/100%\)\r.*\r {20}\r$/s);
  });

  it('is silent with -q', async () => {
    expect(run('none', true, 5000)).toEqual({ out: '', err: '' });
  });
});

it('errors say what to do', async () => {
  expect(new ToolError('x', { hint: 'y' })).toMatchObject({ hint: 'y', exitCode: 1 });
});
