import { describe, expect, it } from 'vitest';
import { MemoryStorage, type BlockError } from '@emkit/storage';
import { content, Folder, letters } from './layer-format.test-support.ts';
import { LIMITS } from './limits.ts';
import { createResolver, openImage, openProtocol } from './open-image.ts';

const failure = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: BlockError) => `${error.kind}: ${error.message}`,
  );

async function chain(folder: Folder): Promise<void> {
  await folder.make('dir/base', 4, { fill: letters('abcd') });
  await folder.make('dir/mid', 4, { backing: 'base', format: 'layer', fill: letters('.XY.') });
  await folder.make('dir/top', 4, { backing: 'mid', format: 'layer', fill: letters('..Z.') });
}

describe('names', () => {
  it('a chain opens by names relative to the image that has them, read-only below, and closes as a whole', async () => {
    const folder = new Folder();
    await chain(folder);
    const node = await openImage('dir/top', folder.env());
    expect(await content(node)).toBe('aXZd');
    expect(folder.log).toEqual(['w dir/top', 'r dir/mid', 'r dir/base']);
    expect(node.driver).toBe('layer');
    expect(node.graph.nodes.length).toBe(6);
    await node.close();
    expect(folder.open).toBe(0);
    expect(node.graph.nodes.length).toBe(0);
  });

  it.each([
    ['json:{"driver":"layer","file":{"driver":"file","filename":"dir/top"}}', false],
    ['json:{"driver":"layer","file.filename":"dir/top"}', false],
    ['driver=layer,file.driver=file,file.filename=dir/top', true],
    ['file.filename=dir/top', true],
    ['file:dir/top', false],
  ])('%s', async (spec, imageOpts) => {
    const folder = new Folder();
    await chain(folder);
    const node = await openImage(spec, folder.env(), { imageOpts, readOnly: true });
    expect(await content(node)).toBe('aXZd');
    expect(node.write).toBeUndefined();
    await node.close();
    expect(folder.open).toBe(0);
  });

  it('backing options replace or add to what the image says', async () => {
    const folder = new Folder();
    await chain(folder);
    const env = folder.env();
    const none = await openImage({ filename: 'dir/top', backing: null }, env);
    expect(await content(none)).toBe('..Z.');
    await none.close();
    const other = await openImage(
      { driver: 'layer', file: { filename: 'dir/top' }, backing: { file: { filename: 'dir/base' } } },
      env,
    );
    expect(await content(other)).toBe('abZd');
    await other.close();
    const named = await openImage('driver=layer,file.filename=dir/top,backing.node-name=below', env, {
      imageOpts: true,
    });
    expect(named.children.get('backing')?.name).toBe('below');
    const second = await openImage({ driver: 'layer', file: { filename: 'dir/base' }, 'read-only': true }, env, {
      graph: named.graph,
    });
    await named.close();
    await second.close();
    expect(folder.open).toBe(0);
  });

  it('backing: none opens nothing but the image', async () => {
    const folder = new Folder();
    await chain(folder);
    const node = await openImage('dir/top', folder.env(), { backing: 'none', readOnly: true });
    expect(folder.log).toEqual(['r dir/top']);
    expect(node.backingReference).toEqual({ kind: 'backing', name: 'mid', format: 'layer' });
    await node.close();
  });

  it('a json: backing name works', async () => {
    const folder = new Folder();
    await folder.make('b', 2, { fill: letters('ab') });
    await folder.make('t', 2, { backing: 'json:{"driver":"layer","file":{"driver":"file","filename":"b"}}' });
    const node = await openImage('t', folder.env());
    expect(await content(node)).toBe('ab');
    await node.close();
  });
});

describe('what is refused', () => {
  it('a loop, by the names in it, with nothing left open', async () => {
    const folder = new Folder();
    await folder.make('a', 1, { backing: 'b', format: 'layer' });
    await folder.make('b', 1, { backing: 'a', format: 'layer' });
    expect(await failure(openImage('a', folder.env()))).toBe(
      "invalid-format: Backing file 'a' creates an infinite loop: a -> b -> a",
    );
    expect(folder.open).toBe(0);
    await folder.make('self', 1, { backing: 'self', format: 'layer' });
    expect(await failure(openImage('self', folder.env(), { readOnly: true }))).toContain('infinite loop: self -> self');
    expect(folder.open).toBe(0);
  });

  it('a chain longer than the limit', async () => {
    const folder = new Folder();
    for (let i = 0; i < LIMITS.CHAIN_DEPTH + 1; i++)
      await folder.make(`i${i}`, 1, i === 0 ? { fill: letters('q') } : { backing: `i${i - 1}`, format: 'layer' });
    const node = await openImage(`i${LIMITS.CHAIN_DEPTH - 1}`, folder.env());
    expect(await content(node)).toBe('q');
    await node.close();
    expect(await failure(openImage(`i${LIMITS.CHAIN_DEPTH}`, folder.env()))).toContain('has more than 64 images');
    expect(folder.open).toBe(0);
  });

  it('a backing file without a stored format, unless guessing is allowed, and then with a warning', async () => {
    const folder = new Folder();
    await folder.make('b', 1, { fill: letters('q') });
    await folder.make('t', 1, { backing: 'b' });
    expect(await failure(openImage('t', folder.env()))).toContain('refused: The format of the backing file');
    expect(folder.open).toBe(0);
    const lines: string[] = [];
    const node = await openImage('t', folder.env({ guessBackingFormat: true, warn: (line) => lines.push(line) }));
    expect(await content(node)).toBe('q');
    expect(lines).toHaveLength(1);
    await node.close();
    const told = await openImage({ filename: 't', backing: { driver: 'layer' } }, folder.env());
    expect(await content(told)).toBe('q');
    await told.close();
  });

  it('a missing backing file, in words that say which', async () => {
    const folder = new Folder();
    await folder.make('t', 1, { backing: 'gone', format: 'layer' });
    expect(await failure(openImage('t', folder.env()))).toBe(
      "not-found: Could not open backing file: Could not open 'gone': No such file or directory",
    );
    expect(folder.open).toBe(0);
  });

  it.each([
    [{ driver: 'nope', file: { filename: 't' } }, "Unknown driver 'nope'"],
    ['nope:t', "Unknown protocol 'nope'"],
    [{ driver: 'layer' }, 'A block device must be specified for "file"'],
    [{ driver: 'layer', file: 'unknown' }, "node-name='unknown'"],
    [{ filename: 't', bogus: 1 }, "does not support the option 'bogus'"],
    [{ filename: 't', 'read-only': 'maybe' }, "Parameter 'read-only' expects 'on' or 'off'"],
    [{ filename: 't', 'detect-zeroes': 'unmap' }, 'setting detect-zeroes to unmap is not allowed'],
    [{ filename: 't', 'force-share': 'on' }, 'force-share=on can only be used with read-only images'],
    [{ filename: 't', 'node-name': '#x' }, "Invalid node-name: '#x'"],
  ])('%j', async (spec, message) => {
    const folder = new Folder();
    await folder.make('t', 1);
    expect(await failure(openImage(spec, folder.env()))).toContain(message);
    expect(folder.open).toBe(0);
  });
});

describe('raw by guess', () => {
  it('warns, is guarded for writing, and is refused where there is no guard', async () => {
    const folder = new Folder();
    folder.files.set('r', new MemoryStorage(new Uint8Array(8192).fill(1)));
    expect(await failure(openImage('r', folder.env()))).toContain('was guessed to be raw');
    expect(folder.open).toBe(0);
    const lines: string[] = [];
    const probed: string[] = [];
    const env = folder.env({
      warn: (line) => lines.push(line),
      guardRaw: (image, probe) => {
        probed.push(probe(new TextEncoder().encode('LAYR')), probe(new Uint8Array(4)));
        return image;
      },
    });
    const node = await openImage('r', env);
    expect(node.guessedRaw).toBe(true);
    expect(probed).toEqual(['layer', 'raw']);
    expect(lines[0]).toBe("WARNING: Image format was not specified for 'r' and probing guessed raw.");
    await node.close();
    const named = await openImage('r', env, { format: 'raw' });
    expect(named.guessedRaw).toBe(false);
    expect(lines).toHaveLength(3);
    await named.close();
    const reader = await openImage('r', folder.env(), { readOnly: true });
    await reader.close();
    expect(folder.open).toBe(0);
  });
});

describe('modes', () => {
  it.each([true, false])('cache.no-flush=%s', async (noFlush) => {
    const folder = new Folder();
    await chain(folder);
    let flushes = 0;
    const file = folder.files.get('dir/top') as MemoryStorage;
    file.flush = () => (flushes++, Promise.resolve());
    const node = await openImage('dir/top', folder.env(), { cache: { noFlush } });
    await node.flush?.();
    await node.close();
    expect(flushes > 0).toBe(!noFlush);
  });

  it('snapshot=on keeps changes out of the file', async () => {
    const folder = new Folder();
    await chain(folder);
    const node = await openImage('dir/top', folder.env(), { snapshot: true });
    await node.write?.(0, new Uint8Array(4096).fill(0x41));
    expect(await content(node)).toBe('AXZd');
    await node.close();
    expect(folder.open).toBe(0);
    const again = await openImage('dir/top', folder.env());
    expect(await content(again)).toBe('aXZd');
    await again.close();
  });

  it('snapshot=on with a temporary image', async () => {
    const folder = new Folder();
    await chain(folder);
    const env = folder.env();
    const { registry } = env;
    const layered = { ...registry, get: (name: string) => registry.get(name === 'qcow2' ? 'layer' : name) };
    const node = await openImage(
      'dir/top',
      { ...env, registry: layered, temporary: () => Promise.resolve(new MemoryStorage()) },
      { snapshot: true },
    );
    await node.write?.(0, new Uint8Array(4096).fill(0x41));
    expect(await content(node)).toBe('AXZd');
    await node.close();
    expect(folder.open).toBe(0);
  });

  it('copy-on-read=on brings what is read to the top', async () => {
    const folder = new Folder();
    await chain(folder);
    const node = await openImage({ filename: 'dir/top', 'copy-on-read': 'on' }, folder.env());
    const bytes = new Uint8Array(10);
    await node.read(100, bytes);
    expect(bytes[9]).toBe(0x61);
    await node.close();
    const alone = await openImage({ filename: 'dir/top', backing: null }, folder.env());
    expect(await content(alone)).toBe('a.Z.');
    await alone.close();
  });

  it('an image reopens for writing and back', async () => {
    const folder = new Folder();
    await chain(folder);
    const node = await openImage('dir/top', folder.env());
    const mid = node.children.get('backing');
    expect(mid?.write).toBeUndefined();
    await mid?.reopen(false);
    await mid?.write?.(0, new Uint8Array(4096).fill(0x4d));
    expect(await content(node)).toBe('MXZd');
    await mid?.reopen(true);
    expect(mid?.write).toBeUndefined();
    await node.close();
    expect(folder.open).toBe(0);
  });

  it('filters by driver', async () => {
    const folder = new Folder();
    await chain(folder);
    const node = await openImage(
      'driver=blkdebug,image.driver=layer,image.file.filename=dir/top,inject-error.0.iotype=write,inject-error.0.errno=28,inject-error.0.once=on',
      folder.env(),
      { imageOpts: true },
    );
    expect(await failure(node.write?.(0, new Uint8Array(1)) as Promise<void>)).toBe(
      'no-space: No space left on device',
    );
    await node.write?.(0, new Uint8Array(4096));
    await node.close();
    expect(folder.open).toBe(0);
  });
});

describe('protocols alone', () => {
  it('create makes an empty file, and a resolver finds its neighbours', async () => {
    const folder = new Folder();
    await chain(folder);
    const env = folder.env();
    const storage = await openProtocol('dir/new', env, { create: true });
    expect(storage.size).toBe(0);
    await storage.close?.();
    const resolver = createResolver('dir/new', env);
    const backing = await resolver.open({ kind: 'backing', name: 'top', format: 'layer' });
    expect(await content(backing)).toBe('aXZd');
    await backing.close?.();
    const extent = await resolver.open({ kind: 'extent', name: 'base', writable: true });
    await extent.close?.();
    await (await resolver.create?.('data'))?.close?.();
    expect([...folder.files.keys()]).toContain('dir/data');
    expect(folder.open).toBe(0);
    expect(await failure(resolver.open({ kind: 'backing', name: 'top' }))).toContain('refused');
  });
});
