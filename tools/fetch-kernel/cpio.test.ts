import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCpio, writeCpio, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG } from './cpio.mjs';

const ENTRIES = [
  { name: 'bin', mode: S_IFDIR | 0o755 },
  { name: 'bin/a', mode: S_IFREG | 0o755, data: Buffer.from('hello') },
  { name: 'bin/b', mode: S_IFLNK | 0o777, data: Buffer.from('a') },
  { name: 'dev/console', mode: S_IFCHR | 0o600, rdevMajor: 5, rdevMinor: 1 },
  { name: 'empty', mode: S_IFREG | 0o644 },
];

describe('cpio newc', () => {
  it('reads what it writes', () => {
    const back = [...readCpio(writeCpio(ENTRIES))].map((e) => ({
      name: e.name,
      mode: e.mode,
      text: e.data.toString(),
      rdev: [e.rdevMajor, e.rdevMinor],
    }));
    expect(back).toEqual(
      ENTRIES.map((e) => ({
        name: e.name,
        mode: e.mode,
        text: e.data?.toString() ?? '',
        rdev: [e.rdevMajor ?? 0, e.rdevMinor ?? 0],
      })),
    );
  });
  it('writes the same bytes for the same input, in blocks of 512', () => {
    const archive = writeCpio(ENTRIES);
    expect(archive.length % 512).toBe(0);
    expect(writeCpio(ENTRIES)).toEqual(archive);
  });
  it.runIf(spawnSync('cpio', ['--version']).error === undefined)('is understood by cpio(1)', () => {
    const folder = mkdtempSync(join(tmpdir(), 'emkit-cpio-'));
    writeFileSync(join(folder, 'a.cpio'), writeCpio(ENTRIES));
    const run = spawnSync('cpio', ['-itF', join(folder, 'a.cpio')], { encoding: 'utf8' });
    const other = spawnSync('sh', ['-c', 'printf "bin/a\\nbin/b\\n" | cpio -o -H newc -F own.cpio'], { cwd: folder });
    expect(run.stdout.trim().split('\n')).toEqual(ENTRIES.map((e) => e.name));
    expect(other.error).toBeUndefined();
    rmSync(folder, { recursive: true });
  });
  it('names damage by its place', () => {
    const archive = writeCpio(ENTRIES);
    expect(() => [...readCpio(archive.subarray(0, 100))]).toThrow('truncated at byte 0');
    expect(() => [...readCpio(archive.subarray(0, 300))]).toThrow('truncated');
    expect(() => [...readCpio(Buffer.alloc(512))]).toThrow('not a cpio newc header at byte 0');
    const bad = Buffer.from(archive);
    bad.write('zz', 10, 'latin1');
    expect(() => [...readCpio(bad)]).toThrow('field ino is no hex number');
  });
  it('never does more than throw an Error on mutated archives', () => {
    const archive = writeCpio(ENTRIES);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(archive.length),
        (changes, cut) => {
          const bytes = Buffer.from(archive.subarray(0, cut));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          try {
            for (const entry of readCpio(bytes)) expect(entry.data.length).toBe(entry.size);
          } catch (error) {
            expect(String((error as Error).message)).toMatch(/cpio/);
          }
        },
      ),
      { seed: 5, numRuns: 2000 },
    );
  });
});

describe('initramfs', async () => {
  const { buildInitramfs } = await import('./initramfs.mjs');
  const file = (name: string, data: string) => ({ name, mode: S_IFREG | 0o755, data: Buffer.from(data, 'latin1') });
  const applets = ['sh', 'ls', 'cat', 'dmesg', 'mount'].map((a) => ({
    name: `bin/${a}`,
    mode: S_IFLNK | 0o777,
    data: Buffer.from('busybox'),
  }));
  const library = [
    file('bin/busybox', 'ELF\0libc.so.6\0x'),
    file('lib/i386-linux-gnu/libc.so.6', 'ELF\0ld-linux.so.2\0'),
    file('lib/i386-linux-gnu/ld-linux.so.2', 'ELF'),
    { name: 'lib/ld-linux.so.2', mode: S_IFLNK | 0o777, data: Buffer.from('i386-linux-gnu/ld-linux.so.2') },
    file('lib/libother.so.1', 'ELF'),
    file('usr/share/big', 'x'.repeat(5000)),
  ];
  it('takes BusyBox, its applets and the libraries it needs, and nothing else of the installer', () => {
    const names = [...readCpio(buildInitramfs(writeCpio([...library, ...applets])))].map((e) => e.name);
    for (const name of [
      'bin/sh',
      'bin/busybox',
      'lib/i386-linux-gnu/libc.so.6',
      'lib/ld-linux.so.2',
      'lib/i386-linux-gnu/ld-linux.so.2',
      'init',
      'etc/inittab',
      'dev/console',
      'proc',
    ])
      expect(names).toContain(name);
    expect(names).not.toContain('lib/libother.so.1');
    expect(names).not.toContain('usr/share/big');
    for (const name of names)
      if (name.includes('/'))
        expect(names.indexOf(name.slice(0, name.lastIndexOf('/')))).toBeLessThan(names.indexOf(name));
  });
  it('says what is missing', () => {
    expect(() => buildInitramfs(writeCpio(library))).toThrow("the installer's BusyBox has no sh");
    expect(() => buildInitramfs(writeCpio(applets))).toThrow('has no /bin/busybox');
  });
});

describe('cache', async () => {
  const { readCache, cacheRoot } = await import('./fetch-kernel.mjs');
  it('lies where XDG says', () => {
    expect(cacheRoot({ XDG_CACHE_HOME: '/x' })).toBe('/x/emkit');
    expect(cacheRoot({})).toMatch(/\/\.cache\/emkit$/);
  });
  it('is believed only with the recorded size and hash', () => {
    const folder = mkdtempSync(join(tmpdir(), 'emkit-cache-'));
    expect(readCache(folder, ['linux'])).toBeUndefined();
    writeFileSync(join(folder, 'linux'), 'abc');
    const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    writeFileSync(
      join(folder, 'manifest.json'),
      JSON.stringify({ version: '1', files: { linux: { size: 3, sha256 } } }),
    );
    expect(readCache(folder, ['linux'])).toMatchObject({ version: '1' });
    expect(readCache(folder, ['linux', 'other'])).toBeUndefined();
    writeFileSync(join(folder, 'linux'), 'abd');
    expect(readCache(folder, ['linux'])).toBeUndefined();
    expect(readFileSync(join(folder, 'linux'), 'utf8')).toBe('abd');
    rmSync(folder, { recursive: true });
  });
});
