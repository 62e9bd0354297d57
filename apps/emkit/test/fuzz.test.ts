/** Any words at all: an answer or an error of the user's, never an internal one, never a hang, stdout free of errors. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OPTIONS } from '../src/option-table.ts';
import { runCli } from './run-cli.ts';

/** Options that would write files or open ports are left to the other tests. */
const NAMES = OPTIONS.filter((o) => !['D', 'gdb', 's', 'doctor'].includes(o.name)).flatMap((o) => [
  `-${o.name}`,
  `--${o.name}`,
]);
const VALUES = [
  ...[
    '',
    ',',
    ',,',
    '=',
    '=,=',
    'help',
    '?',
    'none',
    'null',
    'stdio',
    'mon:stdio',
    'chardev:',
    'chardev:a',
    'null,id=a',
    'stdio,id=b,mux=maybe',
  ],
  ...[
    '99T',
    '-1',
    '0',
    '1e9',
    '0x',
    '1.5G',
    'auto',
    'shift=',
    'base=',
    'base=2020-01-01',
    'isa-debug-exit,',
    'isa-debug-exit,iobase=',
    'a.b=c',
    '__proto__',
    'constructor',
    'toString=1',
  ],
  ...[
    '/',
    '/dev/null',
    '\u0000',
    '\u{1f600}',
    'x'.repeat(5000),
    '0..',
    '5-9',
    'int,cpu',
    'all',
    'pc,accel=tcg:kvm',
    'tcg,opt-all=off',
    'tcg,opt-toString=on',
    'json',
  ],
];
const word = fc.oneof(
  fc.constantFrom(...NAMES),
  fc.constantFrom(...VALUES),
  fc.string({ maxLength: 12 }).filter((s) => !s.includes('file')),
);

describe('any command line', () => {
  it('ends with 0 or 1', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 8 }), async (words) => {
        const { code, err } = await runCli(words.filter((w) => !w.includes('file') && !w.includes('path')));
        expect(err).not.toContain('internal error');
        expect([0, 1]).toContain(code);
        if (code === 1) expect(err).toMatch(/^emkit: /);
      }),
      { seed: 31, numRuns: 1500 },
    );
  });
});
