/** The small parts: refcount widths, the set of clusters, L2 entries, the gate, zstd frames, options. */
import { describe, expect, it } from 'vitest';
import { ClusterSet } from './cluster-set.ts';
import { parseCreateOptions } from './create-options.ts';
import { parseDriverOptions } from './driver-options.ts';
import { compressedExtent, compressedHi, makeRun } from './l2-entry.ts';
import { readRefcount, refcountBytes, writeRefcount } from './refcount-entry.ts';
import { RequestGate } from './request-gate.ts';
import { zstdLength } from './zstd-frame.ts';

describe('refcounts', () => {
  it.each([0, 1, 2, 3, 4, 5, 6])('of 2^%d bits stand side by side', (order) => {
    const view = new DataView(new ArrayBuffer(128));
    const largest = order === 6 ? 2 ** 53 - 1 : 2 ** (2 ** order) - 1;
    const value = (i: number): number => (i * 7919) % (largest + 1);
    for (let i = 0; i < 16; i++) writeRefcount(view, i, order, value(i));
    for (let i = 0; i < 16; i++) expect(readRefcount(view, i, order)).toBe(value(i));
    writeRefcount(view, 3, order, largest);
    expect(readRefcount(view, 3, order)).toBe(largest);
    expect(readRefcount(view, 2, order)).toBe(value(2));
    expect(readRefcount(view, 4, order)).toBe(value(4));
    expect(refcountBytes(8, 8, order)).toEqual([2 ** order, 2 * 2 ** order]);
  });

  it('of less than a byte begin with the least significant bit', () => {
    const view = new DataView(new ArrayBuffer(1));
    writeRefcount(view, 1, 0, 1);
    expect(view.getUint8(0)).toBe(2);
    writeRefcount(view, 3, 1, 2);
    expect(view.getUint8(0)).toBe(0x82);
  });
});

it('a set of clusters knows what is in it, however it grew and shrank', () => {
  const set = new ClusterSet();
  const model = new Map<number, number>();
  for (let i = 0; i < 20_000; i++) {
    const cluster = (i * 7919) % 5003 === 0 ? 2 ** 44 + i : (i * 104729) % 9000;
    if (i % 3 === 2) {
      set.delete(cluster);
      model.delete(cluster);
    } else {
      set.set(cluster, 1 + (i % 9));
      model.set(cluster, 1 + (i % 9));
    }
  }
  for (let cluster = 0; cluster < 9000; cluster++) expect(set.get(cluster)).toBe(model.get(cluster) ?? 0);
  for (const [cluster, kind] of model) expect(set.get(cluster)).toBe(kind);
});

it.each([9, 12, 16, 21])('compressed descriptors with cluster_bits %d', (bits) => {
  const run = makeRun();
  for (const offset of [0, 511, 512, 123456789, 2 ** 40 + 77])
    for (const length of [1, 512, 2 ** bits - 1]) {
      compressedExtent(run, compressedHi(offset, length, bits), offset % 2 ** 32, bits);
      expect(run.host).toBe(offset);
      expect(run.compressedLength).toBe(Math.ceil((offset + length) / 512) * 512 - offset);
    }
});

describe('the gate', () => {
  it('runs what waits when all that were inside have left, in order', () => {
    const gate = new RequestGate();
    const log: string[] = [];
    const first = gate.enter();
    gate.whenPassed(() => log.push('a'));
    const second = gate.enter();
    gate.whenPassed(() => log.push('b'));
    gate.leave(second);
    expect(log).toEqual([]);
    gate.leave(first);
    expect(log).toEqual(['a', 'b']);
    gate.whenPassed(() => log.push('c'));
    expect(log).toEqual(['a', 'b', 'c']);
  });

  it('lets one be alone', async () => {
    const gate = new RequestGate();
    const inside = gate.enter();
    const log: string[] = [];
    const alone = [1, 2].map((n) =>
      gate.alone(async () => {
        log.push(`begin ${n}`);
        await Promise.resolve();
        log.push(`end ${n}`);
      }),
    );
    await Promise.resolve();
    expect(log).toEqual([]);
    expect(gate.closed).toBeDefined();
    gate.leave(inside);
    await Promise.all(alone);
    expect(log).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2']);
    expect(gate.closed).toBeUndefined();
  });
});

describe('zstd frames', () => {
  const raw = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x19, 0, 0, 1, 2, 3];

  it('end before what follows them', () => {
    expect(zstdLength(Uint8Array.from([...raw, 9, 9, 9]), 3)).toBe(raw.length);
    expect(zstdLength(Uint8Array.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7, ...raw, ...raw]), 6)).toBe(34);
  });

  it('that are cut off or none are refused', () => {
    for (let length = 0; length < raw.length; length++)
      expect(() => zstdLength(Uint8Array.from(raw.slice(0, length)), 3)).toThrow('zstd');
    expect(() => zstdLength(new Uint8Array(64), 3)).toThrow('not a zstd frame');
  });
});

describe('options', () => {
  it.each([
    [{ cluster_size: '513' }, 'Cluster size must be a power of two between 512 and 2048k'],
    [{ cluster_size: '4194304' }, 'Cluster size must be a power of two between 512 and 2048k'],
    [{ refcount_bits: '3' }, 'Refcount width must be a power of two and may not exceed 64 bits'],
    [{ refcount_bits: '128' }, 'Refcount width must be a power of two and may not exceed 64 bits'],
    [{ compat: '2' }, "Parameter 'version' does not accept value '2'"],
    [{ lazy_refcounts: 'yes' }, "Parameter 'lazy_refcounts' expects 'on' or 'off'"],
    [{ data_file_raw: 'on' }, 'data-file-raw requires data-file'],
    [{ preallocation: 'some' }, "Invalid parameter 'some'"],
    [{ colour: 'red' }, "Invalid parameter 'colour'"],
    [
      { extended_l2: 'on', cluster_size: '8192' },
      'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
    ],
  ])('%j is refused', (options, message) => {
    expect(() => parseCreateOptions(options as Record<string, string>)).toThrow(message);
  });

  it("of an open image are QEMU's, and others are refused", () => {
    const options = parseDriverOptions({
      'lazy-refcounts': 'on',
      'overlap-check': 'none',
      'overlap-check.active-l2': 'on',
      'l2-cache-size': '1048576',
    });
    expect(options.lazyRefcounts).toBe(true);
    expect([...options.overlapKinds]).toEqual(['active-l2']);
    expect(options.l2CacheBytes).toBe(1048576);
    expect(() => parseDriverOptions({ 'overlap-check': 'some' })).toThrow('Allowed are');
    expect(() => parseDriverOptions({ colour: 'red' })).toThrow("does not support the option 'colour'");
    expect(() => parseDriverOptions({ 'l2-cache-size': '-1' })).toThrow('expects a size');
  });
});
