import { describe, expect, it } from 'vitest';
import { Disk } from './disk.ts';
import { faultLoop, FaultPlan } from './fault-plan.ts';
import { powerCuts } from './power-cut.ts';
import { Recorder, WriteLog } from './recorder.ts';

const bytes = (value: number, length = 512): Uint8Array => new Uint8Array(length).fill(value);

/** First byte of each sector, as text; '.' is zero. */
function picture(disk: Disk): string {
  let text = '';
  for (let at = 0; at < disk.size; at += 512) {
    const byte = new Uint8Array(1);
    disk.get(at, byte);
    text += byte[0] === 0 ? '.' : String(byte[0]);
  }
  return text;
}

function pictures(log: WriteLog, seeds: number): Set<string> {
  const seen = new Set<string>();
  for (let seed = 1; seed <= seeds; seed++)
    for (const cut of powerCuts(log, { seed })) seen.add(picture(cut.disks[0] as Disk));
  return seen;
}

describe('Disk', () => {
  it('forks do not see each other', () => {
    const one = new Disk(bytes(1, 8192));
    const two = one.fork();
    const three = two.fork();
    two.put(0, bytes(2));
    one.put(512, bytes(3));
    three.clear(4096, 4096);
    expect([one, two, three].map((d) => picture(d).slice(0, 3) + picture(d).slice(8, 9))).toEqual([
      '1311',
      '2111',
      '111.',
    ]);
  });

  it('is sparse, and zero where it was cut and grown', () => {
    const disk = new Disk(bytes(1, 5000));
    disk.resize(100);
    disk.resize(2 ** 50);
    expect(disk.held).toBe(4096);
    const part = bytes(9, 200);
    disk.get(0, part);
    expect([part[99], part[100]]).toEqual([1, 0]);
  });
});

describe('powerCuts', () => {
  it('gives every subset of what is not flushed, in whole sectors', async () => {
    const disk = new Recorder(new Disk(bytes(1, 1536)));
    await disk.write(0, bytes(2, 1024));
    await disk.write(1024, bytes(3));
    expect([...pictures(disk.log, 60)].sort()).toEqual(['111', '113', '121', '123', '211', '213', '221', '223']);
  });

  it('loses nothing that a completed flush covers', async () => {
    const disk = new Recorder(new Disk(bytes(1, 1024)));
    await disk.write(0, bytes(2));
    await disk.flush();
    await disk.write(512, bytes(3));
    const { done } = disk.log.entries[1] as { done: number };
    for (let seed = 1; seed <= 20; seed++)
      for (const cut of powerCuts(disk.log, { seed }))
        if (cut.time >= done) expect(picture(cut.disks[0] as Disk)).toMatch(/^2[13]$/);
    expect(pictures(disk.log, 20)).toContain('11');
  });

  it('a flush covers neither what was still under way nor another disk', async () => {
    const log = new WriteLog();
    const one = new Recorder(new Disk(bytes(1)), log, 'one');
    const two = new Recorder(new Disk(bytes(1)), log, 'two');
    const write = one.write(0, bytes(2));
    await Promise.all([write, one.flush()]);
    await two.write(0, bytes(2));
    await one.flush();
    const last = log.entries.at(-1) as { done: number };
    const ends = [...powerCuts(log, { subsets: 30 })].filter(({ time }) => time >= last.done);
    expect(new Set(ends.map(({ disks }) => disks.map(picture).join()))).toEqual(new Set(['2,1', '2,2']));
  });

  it('keeps the versions of a sector in order, and knows sizes', async () => {
    const disk = new Recorder(new Disk());
    await disk.write(0, bytes(1));
    await disk.write(0, bytes(2));
    await disk.truncate(1024);
    await disk.writeZeroes(0, 512);
    await disk.discard(0, 512);
    const seen = pictures(disk.log, 40);
    for (const wanted of ['', '1', '2', '..', '1.', '2.', '.']) expect(seen).toContain(wanted);
    expect(seen.size).toBe(7);
  });
});

describe('faultLoop', () => {
  it('fails every call once, then ends', async () => {
    const failed: number[] = [];
    const faults = await faultLoop(
      async (plan) => {
        const disk = plan.wrap(new Disk());
        for (let i = 1; i <= 3; i++) await disk.write(0, bytes(1)).catch(() => failed.push(i));
        await disk.flush();
      },
      { kinds: ['write'] },
    );
    expect([faults, failed]).toEqual([3, [1, 2, 3]]);
  });

  it('sticky faults go on, until disarmed', async () => {
    const plan = new FaultPlan(2, { sticky: true, error: 'no-space', leaves: 'half' });
    const under = new Disk(bytes(1, 1024));
    const disk = plan.wrap(under);
    await disk.flush();
    await expect(disk.write(0, bytes(2, 1024))).rejects.toMatchObject({ kind: 'no-space' });
    await expect(disk.read(0, bytes(0))).rejects.toMatchObject({ name: 'BlockError' });
    plan.disarm();
    await disk.truncate(1024);
    expect(picture(under)).toBe('21');
  });
});
