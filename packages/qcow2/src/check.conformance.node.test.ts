/** The recorded `qemu-img check` and `info` of every qcow2 image of the conformance data, where that data is there. */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isBlockError, MemoryStorage, type CheckResult } from '@emkit/storage';
import { qcow2 } from './index.ts';

const directory = new URL('../../../../shared/conformance/disk-images/', import.meta.url);
interface Recorded {
  readonly exit: number;
  readonly json: Record<string, number> | null;
  readonly stderr: string;
}
interface Entry {
  readonly name: string;
  readonly format: string;
  readonly what: string;
  readonly check?: Recorded;
  readonly info: Recorded;
}

const isPresent = existsSync(directory);
const manifest = isPresent
  ? (JSON.parse(readFileSync(new URL('manifest.json', directory), 'utf8')) as { images: Entry[] })
  : { images: [] };
// files that do not exist or that loop are the resolver's business, and a check does not open them
const entries = manifest.images.filter(
  (image) => image.format === 'qcow2' && image.check !== undefined && !/backing|without a file name/.test(image.what),
);

const exitOf = (result: CheckResult): number => {
  if (result.checkErrors > 0) return 1;
  if (result.corruptions > 0) return 2;
  return result.leaks > 0 ? 3 : 0;
};

describe.skipIf(!isPresent)('check agrees with qemu-img', () => {
  it.each(entries)('$name: $what', async ({ name, check }) => {
    const bytes = gunzipSync(readFileSync(new URL(`images/${name}.gz`, directory)));
    const lines: string[] = [];
    let result: CheckResult | undefined;
    try {
      const image = await qcow2.open(new MemoryStorage(bytes), { readOnly: true, metadataOnly: true, forCheck: true });
      result = await image.check?.({ report: (line) => lines.push(line) });
    } catch (error) {
      if (!isBlockError(error)) throw error;
      expect([check?.exit, error.message]).toEqual([1, error.message]);
      return;
    }
    if (result === undefined) throw new Error('no check');
    expect(exitOf(result)).toBe(check?.exit);
    const json = check?.json ?? {};
    const recorded = (key: string): number => json[key] ?? 0;
    expect({
      corruptions: result.corruptions,
      leaks: result.leaks,
      checkErrors: result.checkErrors,
      allocated: result.allocatedClusters,
      fragmented: result.fragmentedClusters,
      compressed: result.compressedClusters,
      total: result.totalClusters,
      end: result.imageEndOffset,
    }).toEqual({
      corruptions: recorded('corruptions'),
      leaks: recorded('leaks'),
      checkErrors: recorded('check-errors'),
      allocated: recorded('allocated-clusters'),
      fragmented: recorded('fragmented-clusters'),
      compressed: recorded('compressed-clusters'),
      total: recorded('total-clusters'),
      end: recorded('image-end-offset'),
    });
    const words = (check?.stderr ?? '').split('\n').filter((line) => /^(ERROR|Leaked)/.test(line));
    // the record is cut at 300 characters
    words.pop();
    words.forEach((line, i) =>
      expect((lines[i] ?? '').replace(/offset 0x[0-9a-f]+/, 'offset X')).toBe(
        line.replace(/offset (ADDR|0x[0-9a-f]+)/, 'offset X'),
      ),
    );
  });
});
