/** A real block device: a loop device over a file, as root makes one. Skipped where there is none to be had, with the reason in the test's name. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openFile, type OpenFileOptions } from '../src/index.ts';

const MIB = 1024 * 1024;
const SIZE = 3 * MIB + 512;
const folder = mkdtempSync(join(tmpdir(), 'emkit-device-'));
const file = join(folder, 'device.raw');
writeFileSync(file, '');
truncateSync(file, SIZE);

const { device, reason } = attach();
afterAll(() => {
  if (device !== undefined) spawnSync('losetup', ['--detach', device]);
  rmSync(folder, { recursive: true });
});

function attach(): { device?: string; reason?: string } {
  if (process.platform !== 'linux') return { reason: 'loop devices are Linux' };
  const { error, status, stdout, stderr } = spawnSync('losetup', ['--find', '--show', file], { encoding: 'utf8' });
  if (error !== undefined) return { reason: `no losetup: ${error.message}` };
  return status === 0 ? { device: stdout.trim() } : { reason: `losetup: ${stderr.trim()}` };
}

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

describe.skipIf(device === undefined)(`a block device${reason === undefined ? '' : ` (${reason})`}`, () => {
  const open = (options: OpenFileOptions = {}) => openFile(device as string, options);

  it.each([
    ['blocking', { blocking: true }],
    ['in threads', { blocking: false }],
    ['without system calls', { systemCalls: null }],
  ] as const)('%s: has its size, and is read, written and flushed', async (_name, options) => {
    const storage = await open(options);
    expect([storage.isDevice, storage.size]).toEqual([true, SIZE]);
    await storage.write?.(MIB - 100, filled(5000, 7));
    await storage.write?.(SIZE - 512, filled(512, 9));
    await storage.flush?.();
    const bytes = new Uint8Array(5200);
    await storage.read(MIB - 200, bytes);
    expect(Buffer.compare(bytes, Buffer.concat([filled(100, 0), filled(5000, 7), filled(100, 0)]))).toBe(0);
    // a flush is what brings it to the disk below
    expect(
      readFileSync(file)
        .subarray(SIZE - 512)
        .every((byte) => byte === 9),
    ).toBe(true);
    await storage.read(SIZE - 100, bytes);
    expect([bytes[99], bytes[100]]).toEqual([9, 0]);
    await storage.writeZeroes?.(MIB - 100, 5000, { unmap: true });
    await storage.writeZeroes?.(SIZE - 512, 512);
    await storage.read(MIB - 200, bytes);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    await storage.close();
  });

  it('takes a discard, which may do nothing, and knows no holes', async () => {
    const storage = await open();
    await storage.write?.(0, filled(MIB, 3));
    await storage.discard?.(0, MIB);
    const byte = new Uint8Array(1);
    await storage.read(4096, byte);
    expect([0, 3]).toContain(byte[0]);
    expect(await storage.extent(0, SIZE)).toEqual({ length: SIZE, data: true, zero: false });
    await storage.close();
  });

  it('cannot be grown, by size or by writing past its end; a smaller size is nothing to it', async () => {
    for (const blocking of [true, false]) {
      const storage = await open({ blocking });
      const refused = { kind: 'no-space', message: 'Cannot grow device files' };
      await expect(storage.truncate?.(SIZE + 512)).rejects.toMatchObject(refused);
      await storage.truncate?.(MIB);
      expect(storage.size).toBe(SIZE);
      await expect(storage.write?.(SIZE, filled(512, 1))).rejects.toMatchObject({ kind: 'no-space' });
      await expect(storage.write?.(SIZE - 512, filled(1024, 1))).rejects.toMatchObject({ kind: 'no-space' });
      await expect(storage.writeZeroes?.(SIZE, 512)).rejects.toMatchObject({ kind: 'no-space' });
      await expect(storage.writeZeroes?.(SIZE, 512, { unmap: true })).rejects.toMatchObject({ kind: 'no-space' });
      await expect(storage.preallocate?.(SIZE, 512)).rejects.toMatchObject({ kind: 'no-space' });
      expect(storage.size).toBe(SIZE);
      await storage.close();
    }
  });

  it('is kept from a second writer, and read only on request', async () => {
    const writer = await open();
    if (writer.locks === 'held') await expect(open()).rejects.toMatchObject({ kind: 'locked' });
    await writer.close();
    const reader = await open({ readOnly: true });
    expect([reader.write, reader.size]).toEqual([undefined, SIZE]);
    await reader.close();
  });
});
