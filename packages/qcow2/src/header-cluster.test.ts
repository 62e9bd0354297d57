/** The power is cut within changes of the header that span sectors: it is the old one or the new one. */
import { MemoryStorage, type BlockImage } from '@emkit/storage';
import { Disk, powerCuts, Recorder, WriteLog } from '@emkit/storage-testbed';
import { describe, expect, it } from 'vitest';
import { qcow2 } from './index.ts';
import { parseHeader } from './header.ts';

interface Case {
  readonly what: string;
  readonly options: Readonly<Record<string, string>>;
  change(image: BlockImage): Promise<unknown> | undefined;
}

const NAME = 'a-base-with-a-name-of-some-length.qcow2';
const over = (name: string, more: Case['options'] = {}): Case['options'] => ({
  backing_file: name,
  backing_fmt: 'qcow2',
  ...more,
});

const CASES: readonly Case[] = [
  {
    what: 'another backing file and format',
    options: over('mid'),
    change: (image) => image.setBackingReference?.({ name: NAME, format: 'raw' }),
  },
  {
    what: 'another backing file where there is little room',
    options: over('mid', { cluster_size: '1024' }),
    change: (image) => image.setBackingReference?.({ name: NAME, format: 'raw' }),
  },
  { what: 'no backing file any more', options: over(NAME), change: (image) => image.setBackingReference?.(undefined) },
  {
    what: 'a first backing file',
    options: {},
    change: (image) => image.setBackingReference?.({ name: NAME, format: 'raw' }),
  },
  {
    what: 'a long name in place of a long name',
    options: over('b'.repeat(900), { cluster_size: '4096' }),
    change: (image) => image.setBackingReference?.({ name: 'c'.repeat(1000), format: 'qcow2' }),
  },
  {
    what: 'version 3',
    options: over('b'.repeat(450), { compat: '0.10' }),
    change: (image) => image.amend?.({ compat: '1.1' }),
  },
  { what: 'version 2', options: over('b'.repeat(450)), change: (image) => image.amend?.({ compat: '0.10' }) },
  {
    what: 'a bitmap directory, which moves the name',
    options: over(NAME),
    change: (image) => image.bitmaps?.add({ name: 'new' }),
  },
];

/** What of a header means something. */
function meaning(disk: Disk): string {
  const head = new Uint8Array(Math.min(65536, disk.size));
  disk.get(0, head);
  const { version, backingFile, backingFormat, extensions } = parseHeader(head);
  // names of features are for messages only
  const types = extensions.map(({ type }) => type).filter((type) => type !== 0x6803f857);
  return JSON.stringify({ version, backingFile, backingFormat, types });
}

describe('a power cut in a change of the header leaves the old one or the new one', () => {
  it.each(CASES)('$what', async ({ options, change }) => {
    const file = new MemoryStorage();
    await qcow2.create?.(file, { size: 1 << 20, options });
    const made = new Disk(file.bytes());
    const before = meaning(made);
    const log = new WriteLog();
    const image = await qcow2.open(new Recorder(made, log), { backing: 'none' });
    await change(image);
    await image.close();
    const after = meaning(made);
    expect(after).not.toBe(before);
    const seen = new Set<string>();
    for (const { disks } of powerCuts(log, { subsets: 6, torn: 6 })) {
      const [disk] = disks as [Disk];
      seen.add(meaning(disk));
      const checked = await qcow2.open(disk, { backing: 'none', forCheck: true });
      expect((await checked.check?.())?.corruptions).toBe(0);
      await checked.close();
    }
    expect([...seen].sort()).toEqual([before, after].sort());
  });

  it('needs room: in a small cluster the header is written as it is', async () => {
    const file = new MemoryStorage();
    await qcow2.create?.(file, { size: 1 << 20, options: over('b'.repeat(300), { cluster_size: '1024' }) });
    const image = await qcow2.open(file, { backing: 'none' });
    await image.setBackingReference?.({ name: 'c'.repeat(310), format: 'qcow2' });
    await image.close();
    const again = await qcow2.open(file, { backing: 'none' });
    expect(again.backingReference?.name).toBe('c'.repeat(310));
    await again.close();
  });
});
