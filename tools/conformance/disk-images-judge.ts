/** One recorded image against the libraries: info, map, check, content, snapshots. Gives a line for each thing that differs. */
import { createHash } from 'node:crypto';
import { mapStatus, openImage } from '@emkit/block';
import type { BlockEnvironment, BlockNode, OpenImageOptions } from '@emkit/block';
import { isBlockError } from '@emkit/storage';
import type { Storage } from '@emkit/storage';
import { AllocationGuard } from '@emkit/storage-testbed';
import { checkExit, compareCheck, compareInfo, compareMap, infoFields, mapEntry } from './disk-images-compare.ts';
import type { OwnMapEntry } from './disk-images-compare.ts';
import type { RecordedFiles } from './disk-images-files.ts';
import type { Content, Exit, RecordedImage } from './disk-images-manifest.ts';

const CHUNK = 1 << 20;
/** Bytes of one allocation: more can only come from a field that was believed. */
const MAX_ALLOCATION = 64 << 20;
/** qemu-img's exit code for a format without a check. */
const NO_CHECK = 63;
const MAX_LINES = 4;

export async function judgeImage(image: RecordedImage, files: RecordedFiles): Promise<string[]> {
  const judge = new Judge(image, files);
  const lines: string[] = [];
  for (const [what, look] of judge.questions()) {
    const guard = new AllocationGuard(MAX_ALLOCATION);
    const found = await guard.run(look).catch((error: unknown) => [crash(error)]);
    if (guard.exceeded !== undefined) found.push(guard.exceeded);
    lines.push(...found.slice(0, MAX_LINES).map((line) => `${what}: ${line}`));
    if (found.length > MAX_LINES) lines.push(`${what}: ${found.length - MAX_LINES} more`);
  }
  return lines;
}

/** Whatever is no `BlockError` is a crash. */
function crash(error: unknown): string {
  const text =
    error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 3).join(' ') : String(error);
  return `crashed: ${text}`;
}

class Judge {
  readonly #image: RecordedImage;
  readonly #env: BlockEnvironment;
  readonly #opened: string[] = [];

  constructor(image: RecordedImage, files: RecordedFiles) {
    this.#image = image;
    const secret = image.objects
      ?.map((text) => /^secret,id=s0,data=(.*)$/.exec(text)?.[1])
      .find((s) => s !== undefined);
    this.#env = files.environment(secret, this.#opened);
  }

  questions(): [string, () => Promise<string[]>][] {
    const { info, map, check, read, snapshots = {}, kind } = this.#image;
    if (kind === 'qemu-refuses') return [['own image', () => this.#ownVerdict()]];
    const list: [string, () => Promise<string[]>][] = [
      ['info', () => this.#agree(info.exit, () => this.#info())],
      ['map', () => this.#agree(map.exit, () => this.#map())],
    ];
    if (check) list.push(['check', () => this.#check(check.exit)]);
    if (read) list.push(['read', () => this.#agree(read.exit, () => this.#read(read))]);
    for (const [name, content] of Object.entries(snapshots))
      list.push([`snapshot ${name}`, () => this.#agree(content.exit, () => this.#snapshot(name, content))]);
    return list;
  }

  /** Made by qemu-img, which then does not open it. Refusing it is as right; an answer must be sound. */
  async #ownVerdict(): Promise<string[]> {
    try {
      return await this.#with({ forCheck: true }, async (node) => {
        const result = await node.image.check?.();
        await node.read(0, new Uint8Array(Math.min(CHUNK, node.size)));
        return result === undefined || checkExit(result) === 0
          ? []
          : [`opened, but check says exit ${checkExit(result)}`];
      });
    } catch (error) {
      if (!isBlockError(error)) throw error;
      return [];
    }
  }

  /** An image that qemu-img died of somewhere may be refused everywhere. */
  #killedQemu(): boolean {
    const { info, map, check, read } = this.#image;
    return [info, map, check, read].some((answer) => typeof answer?.exit === 'number' && answer.exit < 0);
  }

  /** The same decision. Where qemu-img died or did not end, an error is right; where it died, so is an answer. */
  async #agree(exit: Exit, look: () => Promise<string[]>): Promise<string[]> {
    let found: string[];
    try {
      found = await look();
    } catch (error) {
      if (!isBlockError(error)) throw error;
      if (exit !== 0 || this.#killedQemu()) return [];
      return [`refused (${error.kind}: ${error.message}), recorded accepted`];
    }
    if (exit === 0) return found;
    return typeof exit === 'number' && exit < 0
      ? []
      : [`accepted, recorded ${exit === 'timeout' ? exit : `exit ${exit}`}`];
  }

  async #with<T>(options: OpenImageOptions, body: (node: BlockNode) => Promise<T>): Promise<T> {
    const { image_opts: imageOpts, name, format } = this.#image;
    const how = { readOnly: true, ...options };
    const node = await (imageOpts === undefined
      ? openImage(name, this.#env, { ...how, format })
      : openImage(imageOpts, this.#env, { ...how, imageOpts: true }));
    try {
      return await body(node);
    } finally {
      await node.close();
    }
  }

  async #info(): Promise<string[]> {
    const { name, info } = this.#image;
    this.#opened.length = 0;
    const own = await this.#with({ backing: 'none', metadataOnly: true }, async (node) =>
      infoFields(name, await node.image.info(), node.image.backingReference),
    );
    const differences = compareInfo(info.json ?? {}, own);
    const foreign = this.#opened.filter((file) => !this.#image.files.includes(file));
    if (foreign.length > 0) differences.push(`opened ${foreign.join(', ')}`);
    return differences;
  }

  async #map(): Promise<string[]> {
    return this.#with({}, async (node) => {
      const own: OwnMapEntry[] = [];
      for (let at = 0; at < node.size;) {
        const status = await mapStatus(node, at, node.size - at);
        const isRaw = 'driver' in status.image && status.image.driver === 'raw';
        own.push(mapEntry(at, status, isRaw));
        at += status.length;
      }
      return compareMap(this.#image.map.json ?? [], own);
    });
  }

  /** The exit code; of good images the counts too. */
  async #check(exit: Exit): Promise<string[]> {
    let own: number;
    let differences: string[] = [];
    try {
      own = await this.#with({ forCheck: true }, async ({ image }) => {
        const result = await image.check?.();
        if (result === undefined) return NO_CHECK;
        if (this.#image.kind === 'good') differences = compareCheck(this.#image.check?.json ?? {}, result);
        return checkExit(result);
      });
    } catch (error) {
      if (!isBlockError(error)) throw error;
      if (exit === 1 || exit === 'timeout' || this.#killedQemu()) return [];
      return [`refused (${error.kind}: ${error.message}), recorded exit ${exit}`];
    }
    return own === exit
      ? differences
      : [`exit ${own}, recorded ${exit === 'timeout' ? exit : `exit ${exit}`}`, ...differences];
  }

  #read(content: Content): Promise<string[]> {
    return this.#with({}, (node) => sameContent(node, content));
  }

  #snapshot(name: string, content: Content): Promise<string[]> {
    return this.#with({}, async ({ image }) => {
      const disk = await image.snapshots?.open(name);
      return disk === undefined ? ['has no snapshots'] : sameContent(disk, content);
    });
  }
}

async function sameContent(disk: Storage, content: Content): Promise<string[]> {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(CHUNK);
  // a snapshot of a disk that has grown since is read in the size that the disk has now, as qemu-img does
  const size = Math.max(disk.size, content.bytes ?? 0);
  for (let at = 0; at < size; at += CHUNK) {
    const part = buffer.subarray(0, Math.min(CHUNK, size - at)).fill(0);
    const there = part.subarray(0, Math.max(0, Math.min(part.length, disk.size - at)));
    if (there.length > 0) await disk.read(at, there);
    hash.update(part);
  }
  const differences: string[] = [];
  if (content.bytes !== size) differences.push(`${size} bytes, recorded ${content.bytes}`);
  const own = hash.digest('hex');
  if (own !== content.sha256) differences.push(`sha256 ${own.slice(0, 16)}, recorded ${content.sha256?.slice(0, 16)}`);
  return differences;
}
