import { describe, expect, it } from 'vitest';
import type { BlockError } from '@emkit/storage';
import { DirtyBitmap } from './dirty-bitmap.ts';
import type { BlockEnvironment } from './environment.ts';
import { faultInjector } from './fault-injector.ts';
import type { Job, JobEvent, JobRequest } from './job.ts';
import { CLUSTER, code, content, Folder, letters } from './layer-format.test-support.ts';
import { openImage } from './open-image.ts';
import { startJob } from './start-job.ts';
import { BlockNode } from './block-node.ts';

/** Clusters of a test disk: several parts of a job. */
const CLUSTERS = 64;
const small = { bufferSize: 2 * CLUSTER, parallel: 3 };

const spread = (pattern: string): string =>
  Array.from({ length: CLUSTERS }, (_, i) => pattern[Math.floor((i * pattern.length) / CLUSTERS)]).join('');

const fill = (cluster: number, letter: string): [number, Uint8Array] => [
  cluster * CLUSTER,
  new Uint8Array(CLUSTER).fill(code(letter)),
];

async function chain(folder: Folder): Promise<string> {
  await folder.make('base', CLUSTERS, { fill: letters(spread('aabb..cc')) });
  await folder.make('mid', CLUSTERS, { backing: 'base', format: 'layer', fill: letters(spread('.d.....e')) });
  await folder.make('top', CLUSTERS, { backing: 'mid', format: 'layer', fill: letters(spread('f...g...')) });
  return spread('fdbbg.ce');
}

const read = async (name: string, env: BlockEnvironment, alone = false): Promise<string> => {
  const node = await openImage(name, env, { readOnly: true, ...(alone ? { backing: 'none' } : {}) });
  const text = await content(node);
  await node.close();
  return text;
};
const failure = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: BlockError) => `${error.kind}: ${error.message}`,
  );
const backing = (node: BlockNode): BlockNode => node.children.get('backing') as BlockNode;

describe('commit', () => {
  it('of the top image into its backing file, as the tool does it', async () => {
    const folder = new Folder();
    const whole = await chain(folder);
    const env = folder.env();
    const node = await openImage('top', env);
    await startJob({ type: 'commit', node, keepChain: true }, small).done;
    expect(backing(node).readOnly).toBe(true);
    await node.close();
    expect(await read('mid', env)).toBe(whole);
    expect(await read('base', env)).toBe(spread('aabb..cc'));
    expect(folder.open).toBe(0);
  });

  it('of an intermediate image while a guest writes to the top', async () => {
    const folder = new Folder();
    const whole = await chain(folder);
    const env = folder.env();
    const node = await openImage('top', env);
    const job = startJob({ type: 'commit', node, top: backing(node) }, small);
    await node.write?.(...fill(3, 'W'));
    await job.done;
    const expected = `${whole.slice(0, 3)}W${whole.slice(4)}`;
    expect(await content(node)).toBe(expected);
    expect(node.graph.nodes.length).toBe(4);
    expect(node.backingReference).toEqual({ kind: 'backing', name: 'base', format: 'layer' });
    await node.close();
    expect(await read('top', env)).toBe(expected);
    expect(await read('base', env)).toBe(spread('adbb..ce'));
    expect(folder.open).toBe(0);
  });

  it('of the active image: ready, follows writes, pivots', async () => {
    const folder = new Folder();
    const whole = await chain(folder);
    const env = folder.env();
    const node = await openImage('top', env);
    const base = backing(backing(node));
    const states: string[] = [];
    const onEvent = (event: JobEvent): void => {
      if (event.type === 'status') states.push(event.status);
    };
    const job = startJob({ type: 'commit', node, base }, { ...small, onEvent });
    await until(() => job.status === 'ready');
    await node.write?.(...fill(5, 'V'));
    await job.complete();
    expect(states).toEqual(['ready', 'concluded']);
    expect(node.filename).toBe('base');
    const expected = `${whole.slice(0, 5)}V${whole.slice(6)}`;
    expect(await content(node)).toBe(expected);
    await node.write?.(...fill(6, 'U'));
    await node.close();
    expect(folder.open).toBe(0);
    expect(await read('base', env)).toBe(`${whole.slice(0, 5)}VU${whole.slice(7)}`);
  });
});

describe('stream', () => {
  it.each([false, true])('down to a base: %s, while a guest writes', async (withBase) => {
    const folder = new Folder();
    const whole = await chain(folder);
    const env = folder.env();
    const node = await openImage('top', env);
    const base = withBase ? backing(backing(node)) : undefined;
    const job = startJob({ type: 'stream', node, base }, small);
    const writes = [2, 17, 40].map((cluster) => node.write?.(...fill(cluster, 'W')));
    await Promise.all(writes);
    await job.done;
    const expected = [...whole].map((letter, i) => ([2, 17, 40].includes(i) ? 'W' : letter)).join('');
    expect(await content(node)).toBe(expected);
    expect(node.backingReference?.name).toBe(withBase ? 'base' : undefined);
    expect(node.graph.nodes.length).toBe(withBase ? 4 : 2);
    await node.close();
    expect(folder.open).toBe(0);
    expect(await read('top', env)).toBe(expected);
  });
});

describe('mirror', () => {
  it.each(['full', 'top', 'none'] as const)('%s: follows writes, and users go on with the target', async (sync) => {
    const folder = new Folder();
    const whole = await chain(folder);
    const env = folder.env();
    await folder.make('copy', CLUSTERS, sync === 'full' ? {} : { backing: 'mid', format: 'layer' });
    const node = await openImage('top', env);
    const target = await openImage({ filename: 'copy', 'node-name': 'target' }, env, { graph: node.graph });
    const job = startJob({ type: 'mirror', node, target, sync, targetIsZero: sync === 'full' }, small);
    const guest = (async () => {
      for (let i = 0; i < 20; i++) await node.write?.(...fill((i * 7) % CLUSTERS, 'w'));
    })();
    await until(() => job.status === 'ready');
    await guest;
    await node.write?.(...fill(1, 'V'));
    const expected = await content(node);
    await job.complete();
    expect(node.filename).toBe('copy');
    if (sync !== 'none') expect(await content(node)).toBe(expected);
    await node.write?.(...fill(0, 'x'));
    await target.close();
    await node.close();
    expect(folder.open).toBe(0);
    const copy = await read('copy', env);
    if (sync !== 'none') expect(copy).toBe(`x${expected.slice(1)}`);
    else expect(copy[1]).toBe('V');
    expect(await read('top', env)).toBe(expected);
    expect(whole).not.toBe(expected);
  });
});

describe('backup', () => {
  it.each(['full', 'top'] as const)('%s: is the disk as it was at the start, while a guest writes', async (sync) => {
    const folder = new Folder();
    const whole = await chain(folder);
    const env = folder.env();
    await folder.make('copy', CLUSTERS, sync === 'full' ? {} : { backing: 'mid', format: 'layer' });
    const node = await openImage('top', env);
    const target = await openImage('copy', env, { graph: node.graph });
    const job = startJob({ type: 'backup', node, target, sync }, small);
    for (let i = 0; i < 40; i++) await node.write?.(...fill((i * 11) % CLUSTERS, 'w'));
    await job.done;
    await target.close();
    await node.close();
    expect(await read('copy', env)).toBe(whole);
    expect(folder.open).toBe(0);
  });

  it('incremental: what the bitmap says, and the bitmap has what was written meanwhile', async () => {
    const folder = new Folder();
    await chain(folder);
    const env = folder.env();
    await folder.make('copy', CLUSTERS);
    const node = await openImage('top', env);
    const target = await openImage('copy', env, { graph: node.graph });
    const bitmap = new DirtyBitmap(node.size, 65536);
    node.trackWrites(bitmap);
    await node.write?.(...fill(20, 'p'));
    const job = startJob({ type: 'backup', node, target, sync: 'incremental', bitmap }, small);
    await job.done;
    expect(bitmap.isEmpty).toBe(true);
    expect((await content(target)).slice(16, 32)).toBe((await content(node)).slice(16, 32));
    expect((await content(target)).slice(32)).toBe('.'.repeat(32));
    await node.write?.(...fill(50, 'q'));
    const again = startJob({ type: 'backup', node, target, sync: 'incremental', bitmap }, small);
    await again.cancel();
    expect([...bitmap.ranges()]).toEqual([[48 * CLUSTER, 64 * CLUSTER]]);
    await target.close();
    await node.close();
  });

  it('a target that fails ends the job, not the guest', async () => {
    const folder = new Folder();
    await chain(folder);
    const env = folder.env();
    await folder.make('copy', CLUSTERS);
    const node = await openImage('top', env);
    const inner = await openImage('copy', env, { graph: node.graph });
    const target = new BlockNode(node.graph, faultInjector(inner, [{ op: 'write', error: 'no-space', after: 2 }]));
    const job = startJob({ type: 'backup', node, target, sync: 'full' }, small);
    for (let i = 0; i < 10; i++) await node.write?.(...fill(i, 'w'));
    expect(await failure(job.done)).toContain('no-space');
    await node.close();
  });
});

describe('the life of a job', () => {
  const mirror = async (folder: Folder, env: BlockEnvironment): Promise<[BlockNode, BlockNode]> => {
    await chain(folder);
    await folder.make('copy', CLUSTERS);
    const node = await openImage('top', env);
    return [node, await openImage('copy', env, { graph: node.graph })];
  };

  it('pauses, resumes, reports progress up to the end', async () => {
    const folder = new Folder();
    const env = folder.env();
    const [node, target] = await mirror(folder, env);
    const seen: number[] = [];
    const onEvent = (event: JobEvent): void => {
      if (event.type === 'progress') seen.push(event.current / event.total);
    };
    const job = startJob({ type: 'mirror', node, target, sync: 'full' }, { ...small, onEvent });
    job.pause();
    expect(job.status).toBe('paused');
    for (let i = 0; i < 50; i++) await Promise.resolve();
    expect(job.progress.current).toBe(0);
    job.resume();
    await until(() => job.status === 'ready');
    expect(seen.at(-1)).toBe(1);
    job.pause();
    await job.complete();
    expect(await failure(job.complete())).toContain("cannot accept command verb 'complete'");
    await target.close();
    await node.close();
  });

  it('keeps to its speed', async () => {
    const folder = new Folder();
    const env = folder.env();
    const [node, target] = await mirror(folder, env);
    let now = 0;
    const clock = {
      now: () => now,
      sleep: (ns: number) => {
        now += ns;
        return Promise.resolve();
      },
    };
    const request: JobRequest = { type: 'mirror', node, target, sync: 'full', automatic: true };
    await startJob(request, { ...small, parallel: 1, speed: CLUSTERS * CLUSTER, clock }).done;
    expect(now / 1e9).toBeGreaterThan(0.7);
    expect(now / 1e9).toBeLessThan(1.2);
    await target.close();
    await node.close();
  });

  it('an error: reported, ignored and done again, or the job stops until it is resumed', async () => {
    for (const onError of ['report', 'ignore', 'stop'] as const) {
      const folder = new Folder();
      const env = folder.env();
      const [node, inner] = await mirror(folder, env);
      const faulty = faultInjector(inner, [{ op: 'write', error: 'io', after: 3, once: true }]);
      const target = new BlockNode(node.graph, faulty);
      const actions: string[] = [];
      const onEvent = (event: JobEvent): void => {
        if (event.type === 'error') actions.push(event.action);
        if (event.type === 'status' && event.status === 'paused') void Promise.resolve().then(() => event.job.resume());
      };
      const request: JobRequest = { type: 'mirror', node, target, sync: 'full', automatic: true, keepSource: true };
      const job = startJob(request, { ...small, onError, onEvent });
      const result = await failure(job.done);
      expect(actions).toEqual([onError]);
      expect(result).toBe(onError === 'report' ? 'io: Input/output error' : 'no error');
      if (onError !== 'report') expect(await content(target)).toBe(await content(node));
      await node.close();
    }
  });

  it('two jobs that cannot both run are refused, with nothing changed', async () => {
    const folder = new Folder();
    const env = folder.env();
    const [node, target] = await mirror(folder, env);
    const job = startJob({ type: 'mirror', node, target, sync: 'full' }, small);
    const edges = node.edges.size;
    expect(() => startJob({ type: 'backup', node, target, sync: 'full' })).toThrow('Conflicts with use by mirror job');
    expect(node.edges.size).toBe(edges);
    expect(() => startJob({ type: 'stream', node, base: target })).toThrow('is not in the backing chain');
    expect(await failure(node.close())).toContain("busy: used by 'mirror job'");
    await job.cancel();
    expect(await failure(job.done)).toBe('aborted: the job was cancelled');
    await target.close();
    await node.close();
    expect(folder.open).toBe(0);
  });
});

describe('cancelled at any point', () => {
  const KINDS = ['commit', 'commit mid', 'commit active', 'stream', 'mirror', 'backup'] as const;
  const begin = (kind: (typeof KINDS)[number], node: BlockNode, target: BlockNode | undefined): JobRequest => {
    switch (kind) {
      case 'commit':
        return { type: 'commit', node, keepChain: true };
      case 'commit mid':
        return { type: 'commit', node, top: backing(node) };
      case 'commit active':
        return { type: 'commit', node, base: backing(backing(node)), automatic: true };
      case 'stream':
        return { type: 'stream', node };
      case 'mirror':
        return { type: 'mirror', node, target: target as BlockNode, sync: 'full', automatic: true };
      case 'backup':
        return { type: 'backup', node, target: target as BlockNode, sync: 'full' };
    }
  };

  it.each(KINDS)('%s: the disk reads as before, and the job can be done again', async (kind) => {
    let cuts = 0;
    for (let turns = 0; ; turns += kind.startsWith('commit') ? 5 : 11) {
      const folder = new Folder();
      const whole = await chain(folder);
      const env = folder.env();
      await folder.make('copy', CLUSTERS);
      const node = await openImage('top', env);
      const needsTarget = kind === 'mirror' || kind === 'backup';
      const target = needsTarget ? await openImage('copy', env, { graph: node.graph }) : undefined;
      const job: Job = startJob(begin(kind, node, target), { bufferSize: 16 * CLUSTER, parallel: 2 });
      for (let i = 0; i < turns && job.status !== 'concluded'; i++) await Promise.resolve();
      const wasThrough = job.status === 'concluded';
      await job.cancel();
      const isDone = (await failure(job.done)) === 'no error';
      expect(await content(node)).toBe(whole);
      for (const used of node.graph.nodes) expect([...used.edges].filter(({ role }) => role === 'job')).toEqual([]);
      if (!isDone) {
        expect(node.graph.nodes.length).toBe(needsTarget ? 8 : 6);
        await startJob(begin(kind, node, target), small).done;
        expect(await content(node)).toBe(whole);
        cuts++;
      }
      await target?.close();
      await node.close();
      expect(folder.open).toBe(0);
      const result = {
        commit: 'mid',
        'commit mid': 'top',
        'commit active': 'base',
        stream: 'top',
        mirror: 'copy',
        backup: 'copy',
      };
      expect(await read(result[kind], env)).toBe(whole);
      if (wasThrough) break;
    }
    expect(cuts).toBeGreaterThan(20);
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 100_000) throw new Error('it does not happen');
    await Promise.resolve();
  }
}
