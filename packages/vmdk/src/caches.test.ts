import { MemoryStorage, type WritableStorage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { BoundedCache } from './caches.ts';
import { vmdk } from './driver.ts';
import { GrainTable, TableCache } from './grain-table.ts';
import { MAX_DIRTY_TABLES, TABLE_CACHE_BYTES } from './limits.ts';

describe('the cache of tables', () => {
  const size = 4096;

  it('holds as much as its budget, and what is in use', () => {
    const cache = new TableCache(4 * size);
    const tables = Array.from({ length: 12 }, (_, i) => new GrainTable(i, 512, 0, 0));
    tables.slice(0, 4).forEach((table, i) => cache.add(i, table));
    expect(cache.bytes).toBe(4 * size);
    cache.get(0);
    cache.add(4, tables[4] as GrainTable);
    expect([0, 1, 2, 3, 4].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true, true, true]);
    for (const key of [0, 2]) (tables[key] as GrainTable).pins++;
    (tables[3] as GrainTable).markDirty(0, 1);
    for (let key = 5; key < 12; key++) cache.add(key, tables[key] as GrainTable);
    expect(cache.bytes).toBe(4 * size);
    expect([0, 2, 3, 11].every((key) => cache.get(key) !== undefined)).toBe(true);
  });

  it('of a disk stays within its budget, whatever is read', async () => {
    const file = new MemoryStorage();
    await vmdk.create?.(file, { size: 2 * 2 ** 40 });
    const image = await vmdk.open(file);
    const byte = new Uint8Array(1);
    // one table each; the budget is a thousand
    const tables = (2 * TABLE_CACHE_BYTES) / size;
    let reads = 0;
    const read = file.read.bind(file);
    file.read = (offset, bytes) => ((reads += bytes.length), read(offset, bytes));
    for (let n = 0; n < tables; n++) await image.read(n * 32 * 2 ** 20, byte);
    const first = reads;
    for (let n = 0; n < 10; n++) await image.read(n * 32 * 2 ** 20, byte);
    expect(reads).toBeGreaterThan(first);
  });

  it('is written when too many tables wait', async () => {
    const file: WritableStorage = new MemoryStorage();
    await vmdk.create?.(file, { size: 2 * 2 ** 40 });
    const image = await vmdk.open(file);
    let flushes = 0;
    file.flush = () => (flushes++, Promise.resolve());
    const byte = Uint8Array.of(1);
    for (let n = 0; n < MAX_DIRTY_TABLES; n++) await image.write?.(n * 32 * 2 ** 20, byte);
    expect(flushes).toBe(1);
    for (let n = 0; n < 2; n++) await image.write?.((MAX_DIRTY_TABLES + n) * 32 * 2 ** 20, byte);
    expect(flushes).toBe(2);
    const again = await vmdk.open(file, { readOnly: true });
    const read = new Uint8Array(1);
    await again.read(0, read);
    expect(read[0]).toBe(1);
  });
});

describe('a bounded cache', () => {
  it('drops what was not used for the longest time', () => {
    const cache = new BoundedCache<string, number>(10);
    cache.set('a', 1, 5);
    cache.set('b', 2, 5);
    expect(cache.bytes).toBe(10);
    cache.get('a');
    cache.set('c', 3, 1);
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([1, undefined, 3]);
    cache.set('d', 4, 100);
    expect([cache.get('a'), cache.get('c'), cache.get('d')]).toEqual([undefined, undefined, 4]);
    expect(cache.bytes).toBe(100);
    cache.delete('d');
    expect(cache.bytes).toBe(0);
  });
});
