import { describe, expect, it } from 'vitest';
import { infoText, snapshotLines } from './info-text.ts';
import { jsonText } from './json-text.ts';
import { formatSize, parseSize, sizeArgument } from './sizes.ts';

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['512', 512],
    ['1k', 1024],
    ['1K', 1024],
    ['1.5G', 1610612736],
    ['2T', 2199023255552],
    ['64b', 64],
    ['0x200', 512],
    ['.5M', 524288],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'x', '-1', '1Q', '1 G', '1e3', '9E9', '1.5', 'k', '0x', '99999999999999999999'])(
    '%s is none',
    (text) => {
      expect(parseSize(text)).toBe(undefined);
    },
  );

  it('are refused in the words of qemu-img', () => {
    expect(() => sizeArgument('1Q', 'image size')).toThrowError(
      'Invalid image size specified. You may use k, M, G, T, P or E suffixes for\nkilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.',
    );
    expect(() => sizeArgument('16E', 'image size')).toThrowError(/Must be between 0 and/);
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.977 KiB'],
    [1024, '1 KiB'],
    [200704, '196 KiB'],
    [1610612736, '1.5 GiB'],
    [1073741824, '1 GiB'],
    [2 ** 46, '64 TiB'],
    [1023 * 1024, '0.999 MiB'],
  ])('%d bytes are printed as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe('info for people', () => {
  const info = {
    format: 'qcow2',
    virtualSize: 1073741824,
    clusterSize: 65536,
    dirty: false,
    formatSpecific: {
      type: 'qcow2',
      data: { compat: '1.1', 'lazy refcounts': false, bitmaps: [{ flags: ['auto'], name: 'b' }] },
    },
  };

  it('has the lines of qemu-img', () => {
    expect(
      infoText({
        filename: 'b.qcow2',
        info,
        actualSize: 200704,
        backing: { name: 'a.qcow2', format: 'qcow2', fullName: 'dir/a.qcow2' },
      }),
    ).toBe(`image: b.qcow2
file format: qcow2
virtual size: 1 GiB (1073741824 bytes)
disk size: 196 KiB
cluster_size: 65536
backing file: a.qcow2 (actual path: dir/a.qcow2)
backing file format: qcow2
Format specific information:
    compat: 1.1
    lazy refcounts: false
    bitmaps:
        [0]:
            flags:
                [0]: auto
            name: b
`);
  });

  it('shows control characters of an image and does not send them to the terminal', () => {
    const text = infoText({
      filename: 'x',
      info,
      actualSize: undefined,
      backing: { name: '\x1b]0;gotcha\x07', fullName: undefined },
    });
    expect(text).toContain('backing file: \\x1b]0;gotcha\\x07 (cannot determine actual path)');
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
  });

  it('aligns snapshots as qemu-img does', () => {
    const date = new Date(2026, 10, 28, 17, 7, 3).getTime();
    const list = [{ id: '1', name: 's1', vmStateSize: 0, date, vmClock: 3_723_004_000_000, icount: 0, diskSize: 1 }];
    expect(snapshotLines(list).slice(1)).toEqual([
      'ID        TAG               VM SIZE                DATE     VM CLOCK     ICOUNT',
      '1         s1                    0 B 2026-11-28 17:07:03 01:02:03.004          0',
    ]);
  });
});

it('prints JSON as QEMU does: four spaces and ASCII', () => {
  expect(jsonText({ name: 'ü', list: [1] })).toBe('{\n    "name": "\\u00fc",\n    "list": [\n        1\n    ]\n}');
});
