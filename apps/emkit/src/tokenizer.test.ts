import { describe, expect, it } from 'vitest';
import { OPTIONS } from './option-table.ts';
import { findOption, parseKeyValues, splitCommas, tokenize } from './tokenizer.ts';

const values = (text: string, implied?: string, allowed?: readonly string[]) =>
  Object.fromEntries(
    parseKeyValues({ spec: findOption('device')!, value: text, typed: `-device ${text}` }, implied, allowed),
  );

describe('tokenizer', () => {
  it('keeps the order of options and takes an argument that begins with a dash', () => {
    const { options, positionals } = tokenize([
      '-append',
      '-x root=/dev/sda',
      '--kernel',
      'k',
      'disk.img',
      '-m',
      '64',
      '-S',
      '-m',
      '1G',
    ]);
    expect(options.map((t) => [t.spec.name, t.value])).toEqual([
      ['append', '-x root=/dev/sda'],
      ['kernel', 'k'],
      ['m', '64'],
      ['S', undefined],
      ['m', '1G'],
    ]);
    expect(positionals).toEqual(['disk.img']);
  });
  it('takes -M and -h for -machine and -help', () => {
    expect(tokenize(['-M', 'pc', '-h']).options.map((t) => t.spec.name)).toEqual(['machine', 'help']);
  });
  it('allows =VALUE only where the table says so', () => {
    expect(tokenize(['--explain=json', '-help=json']).options.map((t) => t.value)).toEqual(['json', 'json']);
    expect(() => tokenize(['-no-reboot=1'])).toThrow('-no-reboot=1: invalid option');
    expect(() => tokenize(['-m=64'])).toThrow('-m=64: invalid option');
  });
  it('keeps our own options to two dashes', () => {
    expect(() => tokenize(['-demo'])).toThrow('-demo: invalid option');
    expect(tokenize(['--demo']).options[0]!.spec.name).toBe('demo');
  });
  it('splits at commas, doubled ones are data', () => {
    expect(splitCommas('a,b,,c,,,d')).toEqual(['a', 'b,c,', 'd']);
    expect(splitCommas('')).toEqual(['']);
  });
  it('reads key=value lists with an implied first key, short booleans, and the last value winning', () => {
    expect(values('isa-debug-exit,iobase=0xf4,iosize=4', 'driver')).toEqual({
      driver: 'isa-debug-exit',
      iobase: '0xf4',
      iosize: '4',
    });
    expect(values('a=1,b,a=2,c=x=y,d=p,,q')).toEqual({ a: '2', b: 'on', c: 'x=y', d: 'p,q' });
    expect(() => values('foo=1', undefined, ['bar'])).toThrow("-device foo=1: Invalid parameter 'foo'");
  });
  it('has every option name once', () => {
    const names = OPTIONS.flatMap((o) => [o.name, ...(o.aliases ?? [])]);
    expect(names.filter((n, i) => names.indexOf(n) !== i)).toEqual([]);
  });
});
