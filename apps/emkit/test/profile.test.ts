/** `--profile`, `-d profile` and `--symbols`: which files are written, and what is refused before the machine starts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'emkit-profile-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);
const read = (name: string): string => readFileSync(file(name), 'utf8');

describe('profiles', () => {
  it('writes each form, and names come from the files of --symbols in their order', async () => {
    writeFileSync(file('System.map'), 'abc');
    writeFileSync(file('program'), 'abcde');
    const symbols = ['--symbols', file('System.map'), '--symbols', `${file('program')},base=0x1000`];
    const files = ['p.json', 'p.txt', 'p.folded', 'p.speedscope.json'].flatMap((name) => ['--profile', file(name)]);
    const { code, err } = await runCli(['--demo', ...symbols, ...files]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(read('p.json'))).toEqual({ symbol: 'first of 3 bytes,first of 5 bytes' });
    expect(read('p.txt')).toBe('profile as text\n');
    expect(read('p.folded')).toBe('kernel;main 1\n');
    expect(JSON.parse(read('p.speedscope.json'))).toEqual({ profiles: [] });
  });

  it('-d profile logs the tables; a run without either asks for no profile', async () => {
    await runCli(['--demo', '-d', 'profile', '-D', file('log')]);
    expect(read('log')).toBe('profile as text\n');
    expect((await runCli(['--demo'])).made[0]?.profile).toBeUndefined();
  });

  it.each([
    [['--profile', 'p.svg'], "--profile p.svg: the file's name says no form", 'FILE.speedscope.json'],
    [['--profile', '/no/such/p.json'], '--profile /no/such/p.json: No such file or directory', 'writable'],
    [['--symbols', 'x'], '--symbols x: names are for profiles', '--profile FILE.json'],
    [['-d', 'profile', '--symbols', '/no/such'], '--symbols /no/such: No such file or directory', ''],
    [['--symbols', 'x,base=y'], "--symbols x,base=y: Parameter 'base' expects integer", 'base=0x400000'],
  ])('%j is refused', async (args, message, hint) => {
    const { code, err, out } = await runCli(['--demo', ...args]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`emkit: ${message}`);
    expect(err).toContain(hint);
  });
});
