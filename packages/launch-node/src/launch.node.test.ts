import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheHome, openCacheFolder } from './cache-folder.ts';
import { CachedFiles } from './cached-files.ts';

let folder = '';
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'launch-'))));
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function program(files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
  return path.join(folder, 'main.cjs');
}

function cachedFiles(part = 'main'): CachedFiles {
  const cache = path.join(folder, 'cache');
  fs.mkdirSync(cache, { recursive: true });
  return new CachedFiles(cache, part, (name) => `native ${name}`);
}
const caches = (): string[] => fs.readdirSync(path.join(folder, 'cache')).sort();

describe('CachedFiles', () => {
  const FILES = {
    'main.cjs': `const other = require('./other.cjs'); module.exports = [other.twice(21), require('node:fs'), __filename, __dirname];`,
    'other.cjs': `exports.twice = (n) => n * 2;`,
  };

  it('runs files that need each other, and gives everything else to require', () => {
    const main = program(FILES);
    expect(cachedFiles().load(main)).toEqual([42, 'native node:fs', main, folder]);
  });

  it('runs a file once, and in a cycle gives what is there so far', () => {
    const main = program({
      'main.cjs': `exports.early = 1; exports.seen = require('./b.cjs').seen; exports.late = 2;`,
      'b.cjs': `exports.seen = { ...require('./main.cjs') };`,
    });
    expect(cachedFiles().load(main)).toEqual({ early: 1, seen: { early: 1 }, late: 2 });
  });

  it('saves one cache a file and part, takes it at the next run, and then saves nothing', () => {
    const main = program(FILES);
    const first = cachedFiles('info');
    first.load(main);
    first.save();
    expect(caches()).toHaveLength(2);
    const times = caches().map((name) => fs.statSync(path.join(folder, 'cache', name)).ino);
    const second = cachedFiles('info');
    expect(second.load(main)).toEqual([42, 'native node:fs', main, folder]);
    second.save();
    expect(caches().map((name) => fs.statSync(path.join(folder, 'cache', name)).ino)).toEqual(times);
    const other = cachedFiles('map');
    other.load(main);
    other.save();
    expect(caches()).toHaveLength(4);
  });

  it('a changed file of the same length and time is compiled anew', () => {
    const main = program({ 'main.cjs': `module.exports = 'one';` });
    fs.utimesSync(main, 1, 1);
    const first = cachedFiles();
    first.load(main);
    first.save();
    program({ 'main.cjs': `module.exports = 'two';` });
    fs.utimesSync(main, 1, 1);
    expect(cachedFiles().load(main)).toBe('two');
  });

  it.each(['torn', 'flipped', 'empty', 'noise'])('a %s cache is not given to V8', (kind) => {
    const main = program(FILES);
    const first = cachedFiles();
    first.load(main);
    first.save();
    for (const name of caches()) {
      const file = path.join(folder, 'cache', name);
      const bytes = fs.readFileSync(file);
      if (kind === 'flipped') for (let at = 64; at < bytes.length; at += 50) bytes[at] = (bytes[at] as number) ^ 0xff;
      const noise = Buffer.alloc(bytes.length, 0xa5);
      fs.writeFileSync(
        file,
        kind === 'torn'
          ? bytes.subarray(0, bytes.length >> 1)
          : kind === 'empty'
            ? ''
            : kind === 'noise'
              ? noise
              : bytes,
      );
    }
    const second = cachedFiles();
    expect(second.load(main)).toEqual([42, 'native node:fs', main, folder]);
    second.save();
    const third = cachedFiles();
    expect(third.load(main)).toEqual([42, 'native node:fs', main, folder]);
  });

  it('what a file throws is thrown, and the file runs again at the next load', () => {
    const main = program({
      'main.cjs': `globalThis.launchTries = (globalThis.launchTries ?? 0) + 1; throw new Error('x' + launchTries);`,
    });
    const files = cachedFiles();
    expect(() => files.load(main)).toThrow('x1');
    expect(() => files.load(main)).toThrow('x2');
    Reflect.deleteProperty(globalThis, 'launchTries');
  });

  it('a cache that cannot be written is not an error', () => {
    const main = program(FILES);
    const files = new CachedFiles(path.join(folder, 'missing'), 'main', () => undefined);
    files.load(main);
    expect(() => files.save()).not.toThrow();
  });
});

describe('the folder', () => {
  it('is the user cache folder of the platform', () => {
    expect(cacheHome({}, 'linux', '/home/u')).toBe('/home/u/.cache');
    expect(cacheHome({ XDG_CACHE_HOME: '/x' }, 'linux', '/home/u')).toBe('/x');
    expect(cacheHome({ XDG_CACHE_HOME: 'relative' }, 'linux', '/home/u')).toBe('/home/u/.cache');
    expect(cacheHome({}, 'darwin', '/Users/u')).toBe('/Users/u/Library/Caches');
    expect(cacheHome({ LOCALAPPDATA: 'C:\\L' }, 'win32', 'C:\\u')).toBe('C:\\L');
  });

  it('is made for its owner alone, and given again', () => {
    const first = openCacheFolder('tool', '1.0.0', folder);
    expect(first).toContain(path.join('emkit', 'code', 'tool', '1.0.0-node'));
    expect(fs.statSync(first as string).mode & 0o777).toBe(0o700);
    expect(openCacheFolder('tool', '1.0.0', folder)).toBe(first);
  });

  it('is refused where others may write, or where it is a link', () => {
    const made = openCacheFolder('tool', '1.0.0', folder) as string;
    fs.chmodSync(made, 0o777);
    expect(openCacheFolder('tool', '1.0.0', folder)).toBeUndefined();
    fs.rmSync(made, { recursive: true });
    fs.symlinkSync(folder, made);
    expect(openCacheFolder('tool', '1.0.0', folder)).toBeUndefined();
  });

  it('is none where nothing can be made', () => {
    fs.writeFileSync(path.join(folder, 'emkit'), 'a file');
    expect(openCacheFolder('tool', '1.0.0', folder)).toBeUndefined();
  });

  it('removes those of other versions when they are old', () => {
    const old = openCacheFolder('tool', '0.9.0', folder) as string;
    const recent = openCacheFolder('tool', '0.9.1', folder) as string;
    fs.utimesSync(old, 1, 1);
    openCacheFolder('tool', '1.0.0', folder);
    expect(fs.existsSync(old)).toBe(false);
    expect(fs.existsSync(recent)).toBe(true);
  });
});

describe.each([
  ['optimizeLater', './optimize-later.ts'],
  ['hearBranchHints', './branch-hints.ts'],
])('%s', (name, file) => {
  it.each(['--deprecation', '--pending-deprecation', '--throw-deprecation'])(
    'says nothing, whatever flags this V8 has, with %s',
    (flag) => {
      const source = fileURLToPath(new URL(file, import.meta.url));
      const args = [
        flag,
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        `import { ${name} } from ${JSON.stringify(source)}; ${name}();`,
      ];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect([status, stdout, stderr]).toEqual([0, '', '']);
    },
  );
});

describe('launch', () => {
  const SOURCE = fileURLToPath(new URL('./launch.ts', import.meta.url));

  function start(env: Record<string, string>): string {
    const main = program({
      'main.cjs': `console.log(require('node:path').basename(__filename), typeof module.exports);`,
    });
    const script = `import { launch } from ${JSON.stringify(SOURCE)}; launch({ bundle: ${JSON.stringify(main)}, name: 'tool', version: '1.0.0', part: '../x' });`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    return execFileSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  }

  it('runs the bundle and keeps its code in the user cache folder', () => {
    expect(start({ XDG_CACHE_HOME: folder })).toBe('main.cjs object\n');
    const [runtime] = fs.readdirSync(path.join(folder, 'emkit', 'code', 'tool')) as [string];
    expect(fs.readdirSync(path.join(folder, 'emkit', 'code', 'tool', runtime)).length).toBeGreaterThan(0);
    expect(start({ XDG_CACHE_HOME: folder })).toBe('main.cjs object\n');
  });

  it("keeps none where Node's own variable says so", () => {
    expect(start({ XDG_CACHE_HOME: folder, NODE_DISABLE_COMPILE_CACHE: '1' })).toBe('main.cjs object\n');
    expect(fs.existsSync(path.join(folder, 'emkit'))).toBe(false);
  });
});
