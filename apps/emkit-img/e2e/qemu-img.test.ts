/** The same command lines to emkit-img and to qemu-img 7.2: the same exit codes, output and contents. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCommand, Pair, sortedJson } from './pair.ts';

let pair: Pair;

/** 3 MiB with data, zeroes and text, so that there is something to compress and something not. */
function sample(): Uint8Array {
  const bytes = new Uint8Array(3 << 20);
  let x = 12345;
  // whole clusters: what is data of a cluster that is data in part depends on the file system's holes
  for (let i = 0; i < 262_144; i++) {
    x = (x * 1103515245 + 12345) >>> 0;
    bytes[65_536 + i] = x >>> 16;
  }
  bytes.fill(0x55, 1 << 20, (1 << 20) + 327_680);
  new TextEncoder().encodeInto('the quick brown fox '.repeat(6554).slice(0, 131_072), bytes.subarray(2 << 20));
  return bytes;
}

beforeAll(() => {
  buildCommand();
  pair = new Pair();
  pair.write('s.raw', sample());
  pair.both('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 's.raw', 's.qcow2');
  pair.both('qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2', 's.raw', 'z.qcow2');
  pair.both('qemu-img', 'convert', '-f', 'raw', '-O', 'vmdk', 's.raw', 's.vmdk');
  pair.both('qemu-img', 'convert', '-f', 'raw', '-O', 'qed', 's.raw', 's.qed');
  pair.both('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 's.qcow2', '-F', 'qcow2', 'over.qcow2');
  pair.both('qemu-io', '-c', 'write -P 7 64k 128k', '-c', 'write -z 1M 64k', 'over.qcow2');
});
afterAll(() => pair.remove());

/** stdout, stderr's first line and exit code agree. */
function agrees(...args: string[]): void {
  const ours = pair.emkit(...args);
  const theirs = pair.qemu(...args);
  const isJson = args.some((arg) => arg === '--output=json') && /^[[{]/.test(theirs.stdout);
  expect(ours).toMatchObject({ exitCode: theirs.exitCode });
  if (isJson) expect(sortedJson(ours.stdout)).toEqual(sortedJson(theirs.stdout));
  else expect(ours.stdout).toBe(theirs.stdout);
  if (theirs.stderr !== '') expect(ours.stderr.split('\n')[0]).toBe(theirs.stderr.split('\n')[0]);
}

const images = ['s.raw', 's.qcow2', 'z.qcow2', 's.vmdk', 's.qed', 'over.qcow2'];

describe('reading', () => {
  describe.each(['info', 'map', 'check'])('%s', (command) => {
    // the CID and the names of VMDK extents are random or differ by program
    it.each(images.filter((name) => command !== 'info' || name !== 's.vmdk'))('%s', (name) => {
      const format = name === 's.raw' ? ['-f', 'raw'] : [];
      agrees(command, ...format, '--output=json', name);
      if (name !== 'z.qcow2' || command !== 'map') agrees(command, ...format, name);
    });
  });

  it('info of a whole chain', () => {
    agrees('info', '--backing-chain', 'over.qcow2');
    agrees('info', '--backing-chain', '--output=json', 'over.qcow2');
    agrees('map', '--output=json', '--start-offset=100k', '--max-length=1M', 'over.qcow2');
  });

  it.each([
    ['s.raw', 's.qcow2', []],
    ['s.qcow2', 'z.qcow2', []],
    ['s.qcow2', 'over.qcow2', []],
    ['s.vmdk', 's.qed', []],
    ['s.qcow2', 'z.qcow2', ['-s']],
    ['s.qcow2', 'over.qcow2', ['-q']],
    ['s.qcow2', 'none.qcow2', []],
  ])('compare %s with %s %j', (a, b, options) => {
    agrees('compare', ...options, ...(a === 's.raw' ? ['-f', 'raw', '-F', 'qcow2'] : []), a, b);
  });

  it('measure', () => {
    for (const json of [[], ['--output=json']]) {
      agrees('measure', ...json, '-O', 'qcow2', '--size', '1G');
      agrees('measure', ...json, '-O', 'qcow2', '-f', 'raw', 's.raw');
      agrees('measure', ...json, '-O', 'raw', 's.qcow2');
      agrees('measure', ...json, '-O', 'qcow2', '-o', 'cluster_size=4k', 's.vmdk');
      agrees('measure', ...json, '-O', 'qcow2', 's.qcow2');
    }
    agrees('measure', '-O', 'vmdk', 's.qcow2');
  });

  it('a bench names what it sends', () => {
    agrees('bench', '-c', '100', '-d', '4', 's.qcow2');
    agrees('bench', '-c', '10', '-s', '512', '-o', '1024', '-S', '4096', 's.qcow2');
  });
});

describe('mistakes', () => {
  it.each(
    [
      'create',
      'create -f nope x 1G',
      'create -f qcow2 x',
      'create -f qcow2 x 1Q',
      'create -f qcow2 -o foo=1 x 1G',
      'create -f qcow2 -b none.qcow2 -F qcow2 x',
      'create -f qcow2 -b s.qcow2 x',
      'create -f qcow2 -o cluster_size=3000 x 1G',
      'create -f qcow2 -o refcount_bits=3 x 1G',
      'create -f qcow2 -o compat=0.9 x 1G',
      'info none.qcow2',
      'info',
      'info s.qcow2 s.raw',
      'foo',
      'convert s.qcow2',
      'convert -O nope s.qcow2 x',
      'convert -O qcow2 none.qcow2 x',
      'convert -S foo s.qcow2 x',
      'convert -m 0 s.qcow2 x',
      'convert -c -O raw s.qcow2 x',
      'check -r foo s.qcow2',
      'check none.qcow2',
      'check -f qcow2 s.raw',
      'resize s.qcow2',
      'resize s.qcow2 1M',
      'resize s.qcow2 1Q',
      'resize s.vmdk 4M',
      'snapshot -a nope s.qcow2',
      'snapshot -d nope s.qcow2',
      'snapshot -c x s.qed',
      'map',
      'map --output=foo s.qcow2',
      'commit s.qcow2',
      'rebase s.qcow2',
      'compare s.qcow2',
      'measure',
      'dd if=s.raw',
      'dd if=s.raw of=x foo=1',
      'dd if=s.raw of=x bs=0',
      'bitmap',
      'bitmap --add s.qcow2',
      'bitmap --remove s.qcow2 nope',
      'amend s.qcow2',
      'amend -o foo=1 s.qcow2',
      'info -f raw --image-opts s.qcow2',
      '-x',
      'info --foo x',
    ].map((line) => [line]),
  )('%s', (line) => {
    agrees(...line.split(' '));
  });
});

/** What each program makes reads the same in qemu-img and is clean. */
function madeAlike(name: string, format: string): void {
  expect(pair.qemuOnOurs('check', '-f', format, name)).toMatchObject({ exitCode: format === 'raw' ? 63 : 0 });
  const info = (answer: { stdout: string }): unknown => {
    const json = sortedJson(answer.stdout) as Record<string, unknown>;
    delete json['actual-size'];
    return json;
  };
  expect(info(pair.qemuOnOurs('info', '-f', format, '--output=json', name))).toEqual(
    info(pair.qemu('info', '-f', format, '--output=json', name)),
  );
  pair.qemuOnOurs('convert', '-f', format, '-O', 'raw', name, 'ours.tmp');
  pair.qemu('convert', '-f', format, '-O', 'raw', name, 'theirs.tmp');
  expect(Buffer.compare(readFileSync(join(pair.ours, 'ours.tmp')), readFileSync(join(pair.theirs, 'theirs.tmp')))).toBe(
    0,
  );
}

describe('making', () => {
  it.each([
    ['-f qcow2', 'qcow2'],
    ['-f qcow2 -o compat=0.10', 'qcow2'],
    ['-f qcow2 -o cluster_size=4k,refcount_bits=1', 'qcow2'],
    ['-f qcow2 -o cluster_size=2M,lazy_refcounts=on', 'qcow2'],
    ['-f qcow2 -o extended_l2=on,cluster_size=128k', 'qcow2'],
    ['-f qcow2 -o compression_type=zstd', 'qcow2'],
    ['-f qcow2 -o preallocation=metadata', 'qcow2'],
    ['-f qcow2 -b s.qcow2 -F qcow2', 'qcow2'],
    ['-f qed -o cluster_size=4k,table_size=2', 'qed'],
    ['-f raw', 'raw'],
    ['-f raw -o preallocation=full', 'raw'],
  ])('create %s', (options, format) => {
    agrees('create', ...options.split(' '), 'new', ...(options.includes('-b') ? [] : ['5M']));
    madeAlike('new', format);
  });

  it.each([
    ['-f raw -O qcow2', 's.raw', 'qcow2'],
    ['-O raw', 's.qcow2', 'raw'],
    ['-O qed', 's.vmdk', 'qed'],
    ['-c -f raw -O qcow2', 's.raw', 'qcow2'],
    ['-c -f raw -O qcow2 -o compression_type=zstd', 's.raw', 'qcow2'],
    ['-O qcow2 -o cluster_size=512', 'z.qcow2', 'qcow2'],
    ['-O qcow2 -o extended_l2=on', 's.qed', 'qcow2'],
    ['-O qcow2 -S 0', 's.qcow2', 'qcow2'],
    ['-O qcow2', 'over.qcow2', 'qcow2'],
    ['-O qcow2 -B s.qcow2 -F qcow2', 'over.qcow2', 'qcow2'],
    ['-p -O raw -m 1', 'over.qcow2', 'raw'],
    ['-W -m 16 -O qcow2', 'over.qcow2', 'qcow2'],
  ])('convert %s %s', (options, source, format) => {
    const args = ['convert', ...options.split(' '), source, 'conv'];
    expect(pair.emkit(...args)).toEqual({ exitCode: 0, stderr: '', stdout: expect.any(String) as string });
    expect(pair.qemu(...args).exitCode).toBe(0);
    madeAlike('conv', format);
  });

  it.each(['monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat', 'streamOptimized'])(
    'convert to vmdk %s',
    (subformat) => {
      const c = subformat === 'streamOptimized' ? ['-c'] : [];
      const args = ['convert', ...c, '-f', 'raw', '-O', 'vmdk', '-o', `subformat=${subformat}`, 's.raw', 'v.vmdk'];
      expect(pair.emkit(...args)).toMatchObject({ exitCode: 0, stderr: '' });
      expect(pair.qemuOnOurs('compare', '-f', 'vmdk', '-F', 'raw', 'v.vmdk', 's.raw')).toMatchObject({ exitCode: 0 });
      expect(pair.emkit('compare', '-f', 'vmdk', '-F', 'raw', 'v.vmdk', 's.raw')).toMatchObject({ exitCode: 0 });
    },
  );

  it('convert joins several images', () => {
    const args = ['convert', '-O', 'raw', 's.qcow2', 'over.qcow2', 's.qed', 'joined'];
    expect(pair.emkit(...args)).toMatchObject({ exitCode: 0, stderr: '' });
    pair.qemu(...args);
    expect(Buffer.compare(pair.read('ours', 'joined'), pair.read('theirs', 'joined'))).toBe(0);
  });

  it('dd', () => {
    for (const words of ['bs=1k count=100 skip=10', 'bs=4096 skip=3', 'bs=1M', 'count=7']) {
      const args = ['dd', '-f', 'raw', ...words.split(' '), 'if=s.raw', 'of=part'];
      expect(pair.emkit(...args)).toMatchObject({ exitCode: 0, stderr: '' });
      pair.qemu(...args);
      expect(Buffer.compare(pair.read('ours', 'part'), pair.read('theirs', 'part'))).toBe(0);
    }
  });
});

describe('changing', () => {
  /** Each line to both, on images that are equal before; the result must be alike. */
  const step = (line: string): void => agrees(...line.split(' '));

  it('resize, snapshot, bitmap, amend, rebase and commit, one after the other', () => {
    pair.both('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 's.raw', 'work.qcow2');
    step('resize work.qcow2 +5M');
    step('snapshot -c first work.qcow2');
    step('resize work.qcow2 16M');
    step('snapshot -c second work.qcow2');
    step('snapshot -l work.qcow2');
    pair.both('qemu-io', '-c', 'write -P 9 0 1M', 'work.qcow2');
    madeAlike('work.qcow2', 'qcow2');
    step('snapshot -d second work.qcow2');
    step('snapshot -a first work.qcow2');
    madeAlike('work.qcow2', 'qcow2');
    step('snapshot -d first work.qcow2');
    step('bitmap --add -g 64k work.qcow2 b0');
    step('bitmap --add --disable work.qcow2 b1');
    step('bitmap --merge b0 work.qcow2 b1');
    step('info --output=json work.qcow2');
    step('bitmap --remove work.qcow2 b1');
    step('amend -o lazy_refcounts=on work.qcow2');
    madeAlike('work.qcow2', 'qcow2');
    step('resize --shrink work.qcow2 2M');
    step('check work.qcow2');
    madeAlike('work.qcow2', 'qcow2');
  });

  it('an overlay is rebased, safely and not, and committed', () => {
    pair.both('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 's.raw', 'base.qcow2');
    pair.both('cp', 'base.qcow2', 'other.qcow2');
    pair.both('qemu-io', '-c', 'write -P 3 2M 64k', 'other.qcow2');
    pair.both('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'top.qcow2');
    pair.both('qemu-io', '-c', 'write -P 5 100k 200k', 'top.qcow2');
    step('rebase -b other.qcow2 -F qcow2 top.qcow2');
    madeAlike('top.qcow2', 'qcow2');
    step('rebase -u -b ./other.qcow2 -F qcow2 top.qcow2');
    step('commit top.qcow2');
    madeAlike('other.qcow2', 'qcow2');
    madeAlike('top.qcow2', 'qcow2');
    pair.both('qemu-io', '-c', 'write -P 8 1M 64k', 'top.qcow2');
    step('commit -d -q top.qcow2');
    madeAlike('other.qcow2', 'qcow2');
    agrees('rebase', '-b', '', 'top.qcow2');
    madeAlike('top.qcow2', 'qcow2');
  });

  it('damage is found and repaired', () => {
    pair.both('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 's.raw', 'broken.qcow2');
    // a cluster in the middle of the refcount block has one reference too many, another none
    for (const side of ['ours', 'theirs'] as const) {
      const bytes = pair.read(side, 'broken.qcow2');
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const table = Number(view.getBigUint64(48));
      const block = Number(view.getBigUint64(table));
      view.setUint16(block + 2 * 8, 0);
      view.setUint16(block + 2 * 200, 1);
      if (side === 'ours') pair.write('broken.qcow2', bytes);
    }
    agrees('check', 'broken.qcow2');
    agrees('check', '--output=json', 'broken.qcow2');
    agrees('check', '-r', 'leaks', 'broken.qcow2');
    agrees('check', '-r', 'all', 'broken.qcow2');
    madeAlike('broken.qcow2', 'qcow2');
  });
});

describe('-o help', () => {
  it.each(['qcow2', 'vmdk', 'qed', 'luks'])('lists the options of %s', (format) => {
    const names = (text: string): string[] => [...text.matchAll(/^ {2}([\w.-]+)=/gm)].map((m) => m[1] as string).sort();
    const theirs = names(pair.qemu('create', '-f', format, '-o', 'help', 'x').stdout);
    // QEMU adds what the host's file can be told
    const ofFiles = ['nocow', 'extent_size_hint', ...(format === 'qcow2' ? [] : ['preallocation', 'size'])];
    const own = (list: string[]): string[] => list.filter((name) => !ofFiles.includes(name));
    expect(own(names(pair.emkit('create', '-f', format, '-o', 'help', 'x').stdout))).toEqual(own(theirs));
  });
});
