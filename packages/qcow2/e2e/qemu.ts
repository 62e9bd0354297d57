/** qemu-img and qemu-io over files in a directory of their own, and our images over the same files. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Resolver, Storage, WritableStorage } from '@emkit/storage';
import { qcow2 } from '../src/index.ts';

export class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), 'emkit-qcow2-'));

  path(name: string): string {
    return join(this.directory, name);
  }

  img(...args: string[]): string {
    return execFileSync('qemu-img', args, { cwd: this.directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Exit code and everything printed. */
  tryImg(...args: string[]): { status: number | null; text: string } {
    const { status, stdout, stderr } = spawnSync('qemu-img', args, { cwd: this.directory, encoding: 'utf8' });
    return { status, text: stdout + stderr };
  }

  io(file: string, ...commands: string[]): void {
    const text = execFileSync('qemu-io', ['-f', 'qcow2', '-d', 'unmap', ...commands.flatMap((c) => ['-c', c]), file], {
      cwd: this.directory,
      encoding: 'utf8',
    });
    if (/failed|error/i.test(text)) throw new Error(text);
  }

  json(...args: string[]): unknown {
    return JSON.parse(this.img(...args, '--output=json'));
  }

  /** The guest's bytes as qemu-img sees them. */
  content(file: string, format = 'qcow2'): Uint8Array {
    this.img('convert', '-f', format, '-O', 'raw', file, 'content.raw');
    return new Uint8Array(readFileSync(this.path('content.raw')));
  }

  put(name: string, bytes: Uint8Array): void {
    writeFileSync(this.path(name), bytes);
  }

  file(name: string): WritableStorage & { close(): Promise<void> } {
    const fd = openSync(this.path(name), 'r+');
    return {
      name,
      get size() {
        return fstatSync(fd).size;
      },
      async read(offset, buffer) {
        let done = 0;
        for (let n = 1; done < buffer.length && n > 0; done += n)
          n = readSync(fd, buffer, done, buffer.length - done, offset + done);
        buffer.fill(0, done);
      },
      async write(offset, buffer) {
        writeSync(fd, buffer, 0, buffer.length, offset);
      },
      // power cuts are other tests' subject
      async flush() {},
      async truncate(size) {
        ftruncateSync(fd, size);
      },
      async close() {
        closeSync(fd);
      },
    };
  }

  get resolver(): Resolver {
    return {
      open: async ({ name, kind, format }): Promise<Storage> => {
        const file = this.file(name);
        return kind === 'backing' && format === 'qcow2'
          ? qcow2.open(file, { readOnly: true, resolver: this.resolver })
          : file;
      },
      create: async (name) => {
        writeFileSync(this.path(name), '');
        return this.file(name);
      },
    };
  }

  done(): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** Numbers below `n`, the same for the same seed. */
export function random(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}
