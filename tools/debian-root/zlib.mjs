/** zlib's example program from Debian's source package, compiled in the root for x86-64-v3: compresses, and checks what it unpacks. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GUEST, run, WORK } from './root.mjs';

const SOURCES = join(WORK, 'sources');
const PROGRAM = '/root/minigzip-v3';

/** Makes it unless it is there. The mirror is the root's own. */
export function ensureZlibProgram() {
  if (existsSync(join(GUEST, PROGRAM))) return;
  mkdirSync(join(SOURCES, 'lists/partial'), { recursive: true });
  const list = join(SOURCES, 'sources.list');
  const binaries = readFileSync(join(GUEST, 'etc/apt/sources.list'), 'utf8');
  writeFileSync(list, binaries.replaceAll(/^deb /gm, 'deb-src '));
  const apt = (...args) =>
    run(
      'apt-get',
      [
        ...['SourceList=' + list, 'SourceParts=/dev/null'].flatMap((o) => ['-o', `Dir::Etc::${o}`]),
        ...['-o', `Dir::State::Lists=${join(SOURCES, 'lists')}`, '-qq', ...args],
      ],
      { cwd: SOURCES },
    );
  apt('update');
  apt('source', '--download-only', 'zlib');
  const archive = readdirSync(SOURCES).find((name) => /^zlib_.*\.orig\.tar\.\w+$/.test(name));
  if (archive === undefined) throw new Error(`apt-get source zlib left no archive in ${SOURCES}`);
  const unpacked = join(GUEST, 'root/zlib');
  rmSync(unpacked, { recursive: true, force: true });
  mkdirSync(unpacked);
  run('tar', ['-xf', join(SOURCES, archive), '-C', unpacked, '--strip-components=1']);
  const compile = `cd /root/zlib && gcc -O3 -march=x86-64-v3 -DHAVE_UNISTD_H -I. -o ${PROGRAM} *.c test/minigzip.c`;
  run('chroot', [GUEST, '/bin/sh', '-c', compile]);
  rmSync(unpacked, { recursive: true });
}
