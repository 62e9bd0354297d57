/** Runs QEMU's tools over files of a directory; oracle only. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Workshop {
  readonly directory = mkdtempSync(join(tmpdir(), 'vmdk-e2e-'));

  path(name: string): string {
    return join(this.directory, name);
  }

  run(command: string, ...args: string[]): string {
    return execFileSync(command, args, { cwd: this.directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Exit code and what was said. */
  try(command: string, ...args: string[]): { exit: number; text: string } {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: this.directory, encoding: 'utf8' });
    return { exit: status ?? -1, text: stdout + stderr };
  }

  json(...args: string[]): unknown {
    return JSON.parse(this.run('qemu-img', ...args)) as unknown;
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** Numbers of a seed, the same everywhere. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39) >>> 0;
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * below);
  };
}
