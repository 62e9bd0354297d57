import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nativeKoffi } from './native-koffi.ts';

let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'koffi-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Where there may be one. */
const isHere = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);

describe.runIf(isHere)('nativeKoffi', () => {
  it('finds the module that package.json asks for, and it calls the C library', () => {
    const koffi = nativeKoffi();
    const getpid = koffi?.load(null).func('int getpid()');
    expect(getpid?.()).toBe(process.pid);
  });

  it('gives none where there is no module, or one that cannot be loaded', () => {
    expect(nativeKoffi(folder)).toBeUndefined();
    const own = join(folder, 'node_modules/@koromix', `koffi-linux-${process.arch}`, `linux_${process.arch}`);
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, 'koffi.node'), 'noise');
    expect(nativeKoffi(folder)).toBeUndefined();
  });
});
