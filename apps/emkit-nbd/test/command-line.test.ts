import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../src/command-line.ts';
import { helpText } from '../src/help.ts';
import { listText } from '../src/list-exports.ts';
import { OPTION_ROWS } from '../src/option-table.ts';
import type { ServeOptions } from '../src/options.ts';
import { VERSION } from '../src/version.ts';

const parse = (...words: string[]): ServeOptions => parseCommandLine(words) as ServeOptions;
const names = (...words: string[]): [string, string][] =>
  parse(...words).images.map(({ exportName, image }) => [exportName, image]);

describe('the command line', () => {
  it('has qemu-nbd defaults, but for the address: loopback', () => {
    expect(parse('disk.img')).toMatchObject({
      action: 'serve',
      images: [{ image: 'disk.img', exportName: '', description: undefined }],
      address: { type: 'tcp', host: undefined, port: 10809 },
      readOnly: false,
      shared: 1,
      persistent: false,
      discard: 'ignore',
      threads: false,
    });
  });

  it('takes letters together, values attached, long names with = and without', () => {
    expect(parse('-rtp', '1234', '-e3', '--description=d', '--export-name', 'x', '-fraw', 'a')).toMatchObject({
      readOnly: true,
      persistent: true,
      address: { port: 1234 },
      shared: 3,
      format: 'raw',
      images: [{ exportName: 'x', description: 'd' }],
    });
    expect(parse('-e', '0', 'a').shared).toBe(Infinity);
    expect(parse('-l', 's1', 'a').readOnly).toBe(true);
    expect(parse('-n', 'a').cache).toEqual({ direct: true });
    expect(parse('-k', '/tmp/s', 'a').address).toEqual({ type: 'unix', path: '/tmp/s' });
  });

  it('gives each of several images a name', () => {
    expect(names('a=x/y.img', 'b=z=1')).toEqual([
      ['a', 'x/y.img'],
      ['b', 'z=1'],
    ]);
    expect(names('x/y.img', 'b=z')).toEqual([
      ['y.img', 'x/y.img'],
      ['b', 'z'],
    ]);
    expect(names('-x', 'one', '-x', 'two', 'a=b', 'c')).toEqual([
      ['one', 'a=b'],
      ['two', 'c'],
    ]);
    // one image is a file name, whatever is in it
    expect(names('a=b')).toEqual([['', 'a=b']]);
  });

  it.each<[string[], string]>([
    [[], 'Invalid number of arguments'],
    [['--foo', 'a'], "unrecognized option '--foo'"],
    [['-z', 'a'], "invalid option -- 'z'"],
    [['a', '-p'], "option '--port' requires an argument"],
    [['-p', '70000', 'a'], "Invalid port '70000'"],
    [['-p', 'x', 'a'], "Invalid port 'x'"],
    [['-e', 'x', 'a'], "Invalid shared device number 'x'"],
    [['-e', '-1', 'a'], "Invalid shared device number '-1'"],
    [['-o', '100M', 'a'], "Invalid offset '100M'"],
    [['--cache=x', 'a'], "Invalid cache mode `x'"],
    [['--discard=x', 'a'], "Invalid discard mode `x'"],
    [['--detect-zeroes=x', 'a'], 'Failed to parse detect_zeroes mode: invalid parameter value: x'],
    [['--aio=x', 'a'], "Invalid aio mode 'x'"],
    [['-k', 'relative', 'a'], 'socket path must be absolute'],
    [['-k', `/${'x'.repeat(107)}`, 'a'], `UNIX socket path '/${'x'.repeat(107)}' is too long`],
    [['-f', 'raw', '--image-opts', 'a'], '--image-opts and -f are mutually exclusive'],
    [['-s', '-l', 'x', 'a'], '-s and -l are mutually exclusive'],
    [['-L', 'a'], 'List mode is incompatible with a file name'],
    [['-L', '-x', 'a'], 'List mode is incompatible with per-device settings: --export-name'],
    [['-x', 'a', '-x', 'b', 'a'], '2 export names for 1 images'],
    [['-x', 'a', 'a', 'b'], '1 export names for 2 images'],
    [['-D', 'a', '-D', 'b', 'a'], '2 descriptions for 1 images'],
    [['a=x', 'a=y'], "two exports have the name 'a'"],
    [['--fork', 'a'], '--fork is not supported'],
    [['-c', '/dev/nbd0', 'a'], '--connect is not supported'],
    [['--tls-creds=x', 'a'], '--tls-creds is not supported'],
  ])('%j is refused: %s', (words, message) => {
    expect(() => parseCommandLine(words)).toThrow(message);
  });

  it('takes a socket path of the longest length', () => {
    expect(parse('-k', `/${'x'.repeat(106)}`, 'a').address.type).toBe('unix');
  });

  it('guesses what was meant', () => {
    expect(() => parseCommandLine(['--persistant', 'a'])).toThrow(
      expect.objectContaining({ hint: 'did you mean --persistent?' }),
    );
  });

  it('has a help that names every option and fits a terminal', () => {
    const help = helpText('emkit-nbd');
    for (const { long, refused } of OPTION_ROWS) if (refused === undefined) expect(help).toContain(`--${long}`);
    for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    expect(parseCommandLine(['-h'])).toEqual({ action: 'help' });
    expect(parseCommandLine(['-V', 'a'])).toEqual({ action: 'version' });
  });

  it('has the version of its manifest', () => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(VERSION).toBe(manifest.version);
  });
});

describe('a list of exports', () => {
  it('does not let a server write control characters to the terminal', () => {
    const text = listText([{ name: 'a\u001b[2J', description: 'x\ny', info: undefined, contexts: [] }]);
    expect(text).toBe("exports available: 1\n export: 'a\\x1b[2J'\n  description: x\\x0ay\n");
  });
});
