/** QED images beside qemu-img and qemu-io: what one writes the other reads, checks and refuses alike. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryStorage } from '@emkit/storage';
import type { BlockImage, CheckResult } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { qed } from '../src/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'emkit-qed-'));
afterAll(() => rmSync(dir, { recursive: true }));

function run(program: string, ...args: string[]): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: dir, encoding: 'utf8', timeout: 20_000 });
  return { status, out: stdout + stderr };
}

function must(program: string, ...args: string[]): string {
  const { status, out } = run(program, ...args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${out}`);
  return out;
}

const put = (name: string, bytes: Uint8Array) => writeFileSync(join(dir, name), bytes);
const get = (name: string) => new Uint8Array(readFileSync(join(dir, name)));
const same = (a: Uint8Array, b: Uint8Array) => Buffer.from(a).equals(Buffer.from(b));

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function content(image: BlockImage): Promise<Uint8Array> {
  const all = new Uint8Array(image.size);
  await image.read(0, all);
  return all;
}

function converted(name: string): Uint8Array {
  must('qemu-img', 'convert', '-f', 'qed', '-O', 'raw', name, 'out.raw');
  return get('out.raw');
}

describe('beside qemu-img', () => {
  it('creates the same bytes, and refuses the same options', async () => {
    for (const [size, options] of [
      ['1048576', {}],
      ['1025', { cluster_size: '4096', table_size: '2' }],
      ['0', { cluster_size: '1048576', table_size: '1' }],
      ['70368744177664', {}],
      ['70368744177665', {}],
      ['1048576', { cluster_size: '3000' }],
      ['1048576', { cluster_size: '2048' }],
      ['1048576', { cluster_size: '134217728' }],
      ['1048576', { table_size: '3' }],
      ['1048576', { table_size: '32' }],
      ['2147483648', { cluster_size: '4096', table_size: '2' }],
      ['1048576', { backing_file: 'base.raw', backing_fmt: 'raw' }],
      ['1048576', { backing_file: 'base.qed', backing_fmt: 'qed' }],
      ['1048576', { bogus: '1' }],
    ] as const) {
      const list = Object.entries(options).map(([name, value]) => `${name}=${value}`);
      const flags = list.length === 0 ? [] : ['-o', list.join(',')];
      const theirs = run('qemu-img', 'create', '-u', '-f', 'qed', ...flags, 'created.qed', size);
      const memory = new MemoryStorage();
      const made = await qed.create!(memory, { size: Number(size), options: { ...options } }).then(
        () => 0,
        () => 1,
      );
      expect(made, `${size} ${list.join(',')}: ${theirs.out}`).toBe(theirs.status);
      if (made === 0) expect(same(memory.bytes(), get('created.qed')), list.join(',')).toBe(true);
    }
  });

  it.each([
    ['4096', '2', 1],
    ['65536', '4', 2],
    ['4096', '16', 3],
  ])('reads what is written here: clusters of %s, tables of %s', async (cluster_size, table_size, seed) => {
    const r = random(seed);
    const base = Uint8Array.from({ length: 300_000 }, () => r(256));
    put('base.raw', base);
    const memory = new MemoryStorage();
    const options = { cluster_size, table_size, backing_file: 'base.raw', backing_fmt: 'raw' };
    await qed.create!(memory, { size: 1 << 20, options });
    const image = await qed.open(memory, { backing: new MemoryStorage(base) });
    const requests = Array.from({ length: 60 }, async () => {
      const offset = r((1 << 20) - 1);
      const length = Math.min((1 << 20) - offset, 1 + r(r(4) === 0 ? 200_000 : 6000));
      if (r(5) === 0) await image.writeZeroes!(offset, length);
      else await image.write!(offset, new Uint8Array(length).fill(r(256)));
    });
    await Promise.all(requests);
    const expected = await content(image);
    // as a crash leaves it, and closed
    await image.flush!();
    put('ours.qed', memory.bytes());
    expect(same(converted('ours.qed'), expected)).toBe(true);
    await image.close();
    put('ours.qed', memory.bytes());
    expect(must('qemu-img', 'check', 'ours.qed')).toContain('No errors were found');
    expect(same(converted('ours.qed'), expected)).toBe(true);
  });

  it('writes what can be read here', async () => {
    const r = random(7);
    for (const options of ['cluster_size=4096,table_size=2', 'cluster_size=65536']) {
      must('qemu-img', 'create', '-f', 'qed', '-o', options, 'theirs.qed', '1M');
      const commands = Array.from({ length: 40 }, () => {
        const offset = r(2000) * 512;
        const length = Math.min((1 << 20) - offset, (1 + r(60)) * 512);
        return ['-c', r(4) === 0 ? `write -z ${offset} ${length}` : `write -P ${r(256)} ${offset} ${length}`];
      }).flat();
      must('qemu-io', '-f', 'qed', ...commands, 'theirs.qed');
      const image = await qed.open(new MemoryStorage(get('theirs.qed')));
      expect(same(await content(image), converted('theirs.qed'))).toBe(true);
      expect(await image.check!()).toMatchObject({ corruptions: 0, leaks: 0 });
      await image.write!(1000, new Uint8Array(500_000).fill(3));
      await image.close();
      put('theirs.qed', (image.file as MemoryStorage).bytes());
      must('qemu-io', '-f', 'qed', '-c', 'read -P 3 1000 500000', 'theirs.qed');
    }
  });

  it('changes the backing file as rebase -u does', async () => {
    const memory = new MemoryStorage();
    await qed.create!(memory, { size: 1 << 20, options: { backing_file: 'a.raw', backing_fmt: 'raw' } });
    const image = await qed.open(memory, { backing: 'none' });
    for (const [name, format] of [
      ['other.qcow2', 'qcow2'],
      ['dir/third.raw', 'raw'],
      ['x', undefined],
    ] as const) {
      await image.setBackingReference!({ name, format });
      put('rebased.qed', memory.bytes());
      const info = JSON.parse(must('qemu-img', 'info', '--output=json', 'rebased.qed')) as Record<string, string>;
      expect(info['backing-filename']).toBe(name);
      expect(info['backing-filename-format']).toBe(format === 'raw' ? 'raw' : undefined);
    }
    await image.setBackingReference!(undefined);
    put('rebased.qed', memory.bytes());
    expect(must('qemu-img', 'info', '--output=json', 'rebased.qed')).not.toContain('backing');
  });

  it('grows images that can be read there', async () => {
    const memory = new MemoryStorage();
    await qed.create!(memory, { size: 100 * 512, options: { cluster_size: '4096', table_size: '2' } });
    const image = await qed.open(memory);
    await image.write!(50_000, new Uint8Array(1200).fill(5));
    await image.resize!(300_000);
    await image.write!(290_000, new Uint8Array(1000).fill(6));
    const expected = await content(image);
    await image.close();
    put('grown.qed', memory.bytes());
    expect(same(converted('grown.qed'), expected)).toBe(true);
  });

  it('checks and repairs damaged tables as it does', { timeout: 120_000 }, async () => {
    must('qemu-img', 'create', '-f', 'qed', '-o', 'cluster_size=4096,table_size=2', 'good.qed', '12M');
    const spread = [0, 4096, 8192, 65536, 5 << 20, 6 << 20, 11 << 20].flatMap((at) => ['-c', `write -P 1 ${at} 9000`]);
    must('qemu-io', '-f', 'qed', ...spread, 'good.qed');
    const good = get('good.qed');
    const l2 = Number(new DataView(good.buffer).getBigUint64(4096, true));
    const r = random(11);
    for (let round = 0; round < 80; round++) {
      const bytes = good.slice();
      const view = new DataView(bytes.buffer);
      const clusters = bytes.length / 4096;
      for (let i = 0; i <= r(3); i++) {
        const at = (r(3) === 0 ? 4096 : l2) + r(20) * 8;
        const values = [
          0n,
          1n,
          2n,
          4096n * BigInt(r(clusters + 2)),
          4096n * BigInt(r(clusters)) + 512n,
          1n << 40n,
          1n << 63n,
        ];
        view.setBigUint64(at, values[r(values.length)] as bigint, true);
      }
      const cut = r(4) === 0 ? bytes.subarray(0, bytes.length - r(9000)) : bytes;
      put('damaged.qed', cut);
      const check = (): Record<string, number> => {
        const { out } = run('qemu-img', 'check', '-f', 'qed', '--output=json', 'damaged.qed');
        return JSON.parse(out.slice(out.indexOf('{'))) as Record<string, number>;
      };
      const memory = new MemoryStorage(cut);
      const image = await qed.open(memory, { forCheck: true });
      compare(await image.check!(), check(), `round ${round}`);
      const repaired = await image.check!({ repair: 'all' });
      const { out } = run('qemu-img', 'check', '-f', 'qed', '-r', 'all', '--output=json', 'damaged.qed');
      const fixed = (JSON.parse(out.slice(out.indexOf('{'))) as Record<string, number>)['corruptions-fixed'] ?? 0;
      expect(repaired.corruptionsFixed, `round ${round}`).toBe(fixed);
      compare(await image.check!(), check(), `round ${round}, repaired`);
      expect(same(memory.bytes().subarray(4096), get('damaged.qed').subarray(4096)), `round ${round}`).toBe(true);
    }
  });
});

function compare(ours: CheckResult, theirs: Record<string, number | undefined>, what: string): void {
  expect(
    [ours.corruptions, ours.leaks, ours.allocatedClusters, ours.fragmentedClusters, ours.totalClusters],
    what,
  ).toEqual([
    theirs['corruptions'] ?? 0,
    theirs['leaks'] ?? 0,
    theirs['allocated-clusters'] ?? 0,
    theirs['fragmented-clusters'] ?? 0,
    theirs['total-clusters'],
  ]);
}
