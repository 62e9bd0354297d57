import { expect, it } from 'vitest';
import { isElsewhere } from './remote-file.ts';
import { parseContentRange, parseLength, rangeHeader } from './byte-range.ts';

it('reads Content-Range, and nothing that only looks like it', () => {
  expect(parseContentRange('bytes 0-99/1000')).toEqual({ start: 0, last: 99, size: 1000 });
  expect(parseContentRange('bytes 5-5/*')).toEqual({ start: 5, last: 5, size: undefined });
  expect(parseContentRange('bytes */0')).toEqual({ start: undefined, last: undefined, size: 0 });
  expect(parseContentRange('bytes 0-9007199254740990/9007199254740991')?.size).toBe(9007199254740991);
  for (const wrong of [
    '',
    'bytes',
    'bytes 0-99',
    'items 0-9/10',
    'bytes 9-0/10',
    'bytes 0-10/10',
    'bytes -1-2/3',
    'bytes 0-1/9007199254740992',
    'bytes 0x0-1/2',
    `bytes 0-1/${'9'.repeat(400)}`,
  ])
    expect(parseContentRange(wrong), wrong).toBeUndefined();
});

it('reads lengths below 2^53 only', () => {
  expect(parseLength('123')).toBe(123);
  for (const wrong of [null, '', '-1', '1e3', '9007199254740992', '1.5']) expect(parseLength(wrong)).toBeUndefined();
});

it('writes inclusive ranges', () => {
  expect(rangeHeader(512, 512)).toBe('bytes=512-1023');
});

it('knows what another origin is', () => {
  const origin = 'https://a.example';
  for (const here of ['disk.img', '/disk.img', 'https://a.example/disk.img'])
    expect(isElsewhere(here, origin)).toBe(false);
  for (const there of [
    'https://a.example.org/disk.img',
    'http://a.example/disk.img',
    '//b.example/disk.img',
    'https://a.example:444/x',
  ])
    expect(isElsewhere(there, origin), there).toBe(true);
  expect(isElsewhere('https://b.example/', undefined)).toBe(false);
});
