/** Our locks and those of QEMU's programs keep each other out. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFile } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'emkit-locks-'));
afterAll(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'a.qcow2');

const run = (program: string, ...args: string[]): { status: number | null; text: string } => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { status, text: stdout + stderr };
};

/** A qemu-io that has the image open until it is told to go. */
async function holder(...options: string[]): Promise<ChildProcess> {
  const child = spawn('qemu-io', [...options, '-f', 'qcow2', image], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin?.write('length\n');
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child;
}
async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end('quit\n');
  await new Promise((resolve) => child.once('exit', resolve));
}

describe('locks', () => {
  beforeAll(() => void run('qemu-img', 'create', '-q', '-f', 'qcow2', image, '64M'));

  it('QEMU stays out of what we write, reads what we read, and -U goes past', async () => {
    const writer = await openFile(image);
    expect(writer.locks).toBe('held');
    const refused = run('qemu-img', 'info', image);
    expect(refused.status).toBe(1);
    expect(refused.text).toContain('Failed to get shared "write" lock');
    expect(run('qemu-io', '-f', 'qcow2', '-c', 'write 0 512', image).text).toContain('Failed to get "write" lock');
    expect(run('qemu-img', 'info', '-U', image).status).toBe(0);
    await writer.close();
    const reader = await openFile(image, { readOnly: true });
    expect(run('qemu-img', 'info', image).status).toBe(0);
    expect(run('qemu-io', '-f', 'qcow2', '-c', 'write 0 512', image).text).toContain('Failed to get "write" lock');
    await reader.close();
    expect(run('qemu-io', '-f', 'qcow2', '-c', 'write 0 512', image).status).toBe(0);
  });

  it('we stay out of what QEMU writes, and read what it reads', async () => {
    const writer = await holder();
    await expect(openFile(image)).rejects.toMatchObject({ kind: 'locked', message: 'Failed to get "write" lock' });
    await expect(openFile(image, { readOnly: true })).rejects.toThrow('Failed to get shared "write" lock');
    await (await openFile(image, { readOnly: true, lock: 'none' })).close();
    await end(writer);
    const reader = await holder('-r');
    await (await openFile(image, { readOnly: true })).close();
    await expect(openFile(image)).rejects.toThrow('Failed to get "write" lock');
    await end(reader);
    await (await openFile(image)).close();
  });

  it.skipIf(!existsSync('/proc/locks'))('the bytes that we hold are those that QEMU holds', async () => {
    const inode = statSync(image).ino;
    const held = (): string[] =>
      readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .filter((line) => line.includes(`:${inode} `))
        .map((line) => line.trim().split(/\s+/).slice(-2).join('-'))
        .flatMap((range) => {
          const [first, last] = range.split('-').map(Number) as [number, number];
          return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
        })
        .sort();
    for (const readOnly of [true, false]) {
      const theirs = await holder(...(readOnly ? ['-r'] : []));
      const expected = held();
      await end(theirs);
      const ours = await openFile(image, { readOnly });
      expect(held()).toEqual(expected);
      await ours.close();
    }
  });
});
