import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openFile } from './open-file.ts';

let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'quick-reads-'))));
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** A read on the calling thread gives the one settled promise that all such reads give. */
describe("blocking: 'quick-reads'", () => {
  it('reads on this thread, writes in the pool, and says that it may block', async () => {
    const path = join(folder, 'a');
    writeFileSync(path, Uint8Array.of(1, 2, 3, 4));
    const file = await openFile(path, { blocking: 'quick-reads', lock: 'none' });
    // no read takes long
    vi.spyOn(process, 'hrtime').mockReturnValue([0, 0]);
    const buffer = new Uint8Array(3);
    const [first, second] = [file.read(1, buffer), file.read(1, buffer)];
    expect([file.mayBlock, first === second]).toEqual([true, true]);
    expect([...buffer]).toEqual([2, 3, 4]);
    const write = file.write?.(0, Uint8Array.of(9));
    expect(write).not.toBe(first);
    await write;
    await file.read(0, buffer);
    expect([...buffer]).toEqual([9, 2, 3]);
    await file.close();
  });

  it('goes to the pool for a while after a read that took long, and comes back', async () => {
    const path = join(folder, 'a');
    writeFileSync(path, new Uint8Array(4096).fill(7));
    const file = await openFile(path, { readOnly: true, blocking: 'quick-reads', lock: 'none' });
    const buffer = new Uint8Array(4096);
    let time = 0;
    let step = 0;
    vi.spyOn(process, 'hrtime').mockImplementation(() => [(time += step), 0]);
    const quick = file.read(0, buffer);
    step = 1;
    await file.read(0, buffer);
    step = 0;
    let inPool = 0;
    for (let n = 0; n < 200; n++) {
      buffer.fill(0);
      const read = file.read(0, buffer);
      if (read !== quick) inPool++;
      await read;
      expect(buffer[4095]).toBe(7);
    }
    expect(inPool).toBeGreaterThan(0);
    expect(inPool).toBeLessThan(200);
    await file.close();
  });
});
