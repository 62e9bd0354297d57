/**
 * One opening of an image: builds nodes from an option tree, bottom up, following backing references as far as the chain goes.
 *
 * What an image names is hostile: the chain has a depth limit, a name that is in it already is a loop, a backing file's format is not guessed unless the
 * environment says so, and everything goes through the environment's protocols. QEMU's option names: man qemu-system(1), "-blockdev".
 */
import {
  BlockError,
  checkAborted,
  type BlockDriver,
  type BlockImage,
  type OpenOptions,
  type Reference,
  type Storage,
} from '@emkit/storage';
import type { BlockGraph } from './block-graph.ts';
import { BlockNode, type NodeOptions } from './block-node.ts';
import { copyOnRead } from './copy-on-read.ts';
import { cowStorage } from './cow-storage.ts';
import type { BlockEnvironment } from './environment.ts';
import { FILTER_DRIVERS } from './filter-drivers.ts';
import { LIMITS } from './limits.ts';
import { takeCommon, text, type CommonOptions, type InheritedOptions } from './node-options.ts';
import type { OpenImageOptions } from './open-image.ts';
import { flatten, parseImageSpec, resolveName, type OptionTree, type OptionValue } from './option-tree.ts';
import { ProtocolImage } from './protocol-image.ts';
import { noFormat, openStorage, protocolOf, splitName, storageNames } from './protocols.ts';
import { PROBE_LENGTH } from './registry.ts';

interface Above {
  readonly name: string | undefined;
  readonly identity: string | undefined;
}

/** Where in the chain we are. */
interface Place {
  readonly inherited: InheritedOptions;
  /** The images above. */
  readonly above: readonly Above[];
  readonly isRoot: boolean;
}

export class NodeOpener {
  readonly #env: BlockEnvironment;
  readonly #graph: BlockGraph;
  readonly #request: OpenImageOptions;
  readonly #opened: BlockNode[] = [];

  constructor(env: BlockEnvironment, graph: BlockGraph, request: OpenImageOptions) {
    this.#env = env;
    this.#graph = graph;
    this.#request = request;
  }

  async openRoot(tree: OptionTree): Promise<BlockNode> {
    const { readOnly = false, forceShare = false, discard, detectZeroes, cache, snapshot } = this.#request;
    const inherited = { readOnly, forceShare, discard, detectZeroes, cache, snapshot };
    return this.#node(tree, { inherited, above: [], isRoot: true }, this.#request.format);
  }

  /** Closes what has been opened, users before what they use. */
  async abandon(): Promise<void> {
    for (const node of this.#opened.reverse()) if (node.edges.size === 0) await node.close().catch(() => undefined);
  }

  async #node(tree: OptionTree, place: Place, format: string | undefined): Promise<BlockNode> {
    checkAborted(this.#request.signal);
    const common = takeCommon(tree, place.inherited);
    const driver = common.driver ?? format;
    if (driver !== undefined && protocolOf(this.#env, driver) !== undefined)
      return this.#protocol(driver, common, place);
    const filter = driver === undefined ? undefined : FILTER_DRIVERS.get(driver);
    if (driver !== undefined && filter !== undefined) {
      const { [filter.child]: childTree, ...own } = common.own;
      const child = await this.#child(childTree, { ...place, isRoot: false }, filter.child);
      const image = filter.make(child, own, this.#env.clock);
      const node = this.#add(image, common, child.filename, { options: tree });
      node.setChild(filter.child, child, storageEdge(node, 'filtered'), typeof childTree !== 'string');
      return node;
    }
    return this.#overlay(await this.#format(tree, driver, common, place), common, place);
  }

  async #protocol(driver: string, common: CommonOptions, place: Place): Promise<BlockNode> {
    const request = (readOnly: boolean) => ({
      readOnly,
      forceShare: common.forceShare,
      direct: common.cache.direct ?? false,
      signal: this.#request.signal,
    });
    const open = async (readOnly: boolean): Promise<BlockImage> => {
      const storage = await openStorage(this.#env, driver, common.own, request(readOnly));
      // here and not in the node above, for a format flushes its file also when nobody asked for it
      if (common.cache.noFlush === true && storage.flush !== undefined) storage.flush = () => Promise.resolve();
      return new ProtocolImage(driver, storage);
    };
    const readOnly = common.readOnly || place.inherited.readOnly;
    const { name } = storageNames(this.#env, driver, common.own);
    return this.#add(await open(readOnly), common, name, { reopen: open, isFlat: true });
  }

  async #format(
    tree: OptionTree,
    driverName: string | undefined,
    common: CommonOptions,
    place: Place,
  ): Promise<BlockNode> {
    const { file: fileTree, filename, backing: backingTree, ...own } = common.own;
    const fileSpec = fileTree ?? (filename === undefined ? undefined : { filename });
    const inherited = {
      readOnly: common.readOnly,
      forceShare: common.forceShare,
      discard: 'unmap' as const,
      cache: { direct: common.cache.direct, noFlush: common.cache.noFlush },
    };
    const itself = this.#checkChain(fileSpec, place.above);
    const file = await this.#child(fileSpec, { inherited, above: place.above, isRoot: false }, 'file');
    const name = file.filename;

    const { driver, guessed } = await this.#driver(driverName, file);
    if (guessed && !common.readOnly) this.#warnGuessed(name);
    const above = [...place.above, itself];
    const extra = new Map<string, BlockNode>();
    const backing = await this.#chosenBacking(backingTree, above);
    const options = this.#openOptions(own, common, {
      open: async (reference) => {
        const isBacking = reference.kind === 'backing' || reference.kind === 'parent';
        const node = isBacking
          ? await this.#backing(reference, backingTree, name, above)
          : await this.#neighbour(reference, own[reference.kind], name, common);
        extra.set(isBacking ? 'backing' : reference.kind === 'extent' ? `extents.${extra.size}` : reference.kind, node);
        return isBacking ? node : bare(node);
      },
    });
    const open = async (readOnly: boolean, below: BlockNode | 'none' | undefined): Promise<BlockImage> => {
      const image = await driver.open(bare(file), { ...options, readOnly, backing: below });
      if (!guessed || readOnly) return image;
      if (this.#env.guardRaw !== undefined)
        return this.#env.guardRaw(image, (head) => this.#env.registry.probe(head, name).driver.name);
      await image.close();
      throw new BlockError(
        'refused',
        `the format of '${name ?? 'the image'}' was not given and was guessed to be raw`,
        {
          hint: 'name it (format=raw) to open it for writing',
        },
      );
    };
    const image = await open(common.readOnly, backing);
    const node = this.#add(image, common, name, {
      guessedRaw: guessed,
      options: tree,
      reopen: async (readOnly, itself) => {
        await file.reopen(readOnly);
        return open(readOnly, itself.children.get('backing') ?? 'none');
      },
    });
    node.setChild('file', file, storageEdge(node, 'file'), typeof fileSpec !== 'string');
    if (backing instanceof BlockNode) node.setChild('backing', backing, undefined, typeof backingTree !== 'string');
    for (const [role, child] of extra)
      node.setChild(role, child, role === 'backing' ? undefined : storageEdge(node, 'data-file'), true);
    return node;
  }

  /** Before the file is opened: opening what is in use already would be another error, and one in another's words. */
  #checkChain(fileSpec: OptionValue | undefined, above: readonly Above[]): Above {
    const isName = typeof fileSpec === 'object' && fileSpec !== null && fileSpec['file'] === undefined;
    const { driver, ...own } = isName ? splitName(fileSpec, this.#env) : ({} as OptionTree);
    const itself =
      driver === undefined ? { name: undefined, identity: undefined } : storageNames(this.#env, String(driver), own);
    const names = (): string => [...above, itself].map(({ name }) => name ?? '(unnamed)').join(' -> ');
    if (itself.identity !== undefined && above.some(({ identity }) => identity === itself.identity))
      throw new BlockError('invalid-format', `Backing file '${itself.name}' creates an infinite loop: ${names()}`);
    if (above.length >= LIMITS.CHAIN_DEPTH)
      throw new BlockError(
        'invalid-format',
        `The backing chain has more than ${LIMITS.CHAIN_DEPTH} images: ${names()}`,
      );
    return itself;
  }

  /** The format: as named, or as the file's head says. */
  async #driver(name: string | undefined, file: BlockNode): Promise<{ driver: BlockDriver; guessed: boolean }> {
    const { registry } = this.#env;
    if (name !== undefined) return { driver: registry.get(name), guessed: false };
    const head = new Uint8Array(Math.max(0, Math.min(PROBE_LENGTH, file.size)));
    await file.read(0, head);
    return registry.probe(head, file.filename);
  }

  #openOptions(own: OptionTree, common: CommonOptions, resolver: OpenOptions['resolver']): OpenOptions {
    const { 'key-secret': bareKey, encrypt, 'data-file': _dataFile, extents: _extents, ...rest } = own;
    const crypt = typeof encrypt === 'object' && encrypt !== null ? encrypt : {};
    const { 'key-secret': nestedKey, ...cryptRest } = crypt;
    const id = text('key-secret', nestedKey ?? bareKey);
    const { secret } = this.#env;
    const driverOptions = flatten({ ...rest, encrypt: cryptRest });
    return {
      readOnly: common.readOnly,
      resolver,
      driverOptions: Object.keys(driverOptions).length > 0 ? driverOptions : undefined,
      metadataOnly: this.#request.metadataOnly,
      forCheck: this.#request.forCheck,
      signal: this.#request.signal,
      secret: id === undefined ? this.#request.secret : () => findSecret(id, secret),
    };
  }

  /** A backing file that the caller chose: `backing=null` or `""` (none), a node's name, or a whole image. Undefined: what the image says. */
  async #chosenBacking(
    tree: OptionValue | undefined,
    above: readonly Above[],
  ): Promise<BlockNode | 'none' | undefined> {
    if (this.#request.backing === 'none' || tree === null || tree === '') return 'none';
    if (typeof tree === 'string') return this.#graph.get(tree);
    if (typeof tree !== 'object' || (tree['file'] === undefined && tree['filename'] === undefined)) return undefined;
    return this.#node(tree, this.#below(above), undefined);
  }

  /** What the image says is its backing file. The caller's options for it (a secret, a name) are in `tree`. */
  async #backing(
    reference: Reference,
    tree: OptionValue | undefined,
    base: string | undefined,
    above: readonly Above[],
  ): Promise<BlockNode> {
    const extra: OptionTree = typeof tree === 'object' && tree !== null ? tree : {};
    const spec = parseImageSpec(base === undefined ? reference.name : resolveName(base, reference.name));
    const format = text('driver', extra['driver'] ?? spec['driver']) ?? reference.format;
    if (format === undefined) {
      if (this.#env.guessBackingFormat !== true) throw noFormat(reference.name);
      this.#env.warn?.(
        `warning: the format of the backing file '${reference.name}' is not stored in the image and was guessed`,
      );
    }
    try {
      return await this.#node({ ...spec, ...extra }, this.#below(above), format);
    } catch (error) {
      if (!(error instanceof BlockError) || error.message.startsWith('Could not open backing')) throw error;
      const { kind, message, offset, field, hint } = error;
      if (kind === 'aborted' || message.includes('infinite loop') || message.includes('chain has more than'))
        throw error;
      throw new BlockError(kind, `Could not open backing file: ${message}`, { offset, field, hint, cause: error });
    }
  }

  /** Another file of the same image: a data file, an extent. */
  async #neighbour(
    reference: Reference,
    tree: OptionValue | undefined,
    base: string | undefined,
    common: CommonOptions,
  ): Promise<BlockNode> {
    const chosen = typeof tree === 'object' && tree !== null ? tree : undefined;
    const spec = chosen ?? parseImageSpec(base === undefined ? reference.name : resolveName(base, reference.name));
    const inherited = {
      readOnly: reference.writable !== true,
      forceShare: common.forceShare,
      discard: 'unmap' as const,
    };
    return this.#child(spec, { inherited, above: [], isRoot: false }, reference.kind);
  }

  #below(above: readonly Above[]): Place {
    const forceShare = this.#request.forceShare ?? false;
    return { inherited: { readOnly: true, forceShare, discard: 'unmap' }, above, isRoot: false };
  }

  /** A child of a node: another node by name, a protocol, or (raw over qcow2, filters) an image. */
  async #child(value: OptionValue | undefined, place: Place, role: string): Promise<BlockNode> {
    if (typeof value === 'string') return this.#graph.get(value);
    if (typeof value !== 'object' || value === null)
      throw new BlockError('invalid-option', `A block device must be specified for "${role}"`);
    // below a format a name without a driver is what it is stored in; below a filter it is an image
    const isStorage = role === 'file' || role === 'data-file' || role === 'extent';
    return this.#node(isStorage && value['file'] === undefined ? splitName(value, this.#env) : value, place, undefined);
  }

  /** `snapshot=on` and `copy-on-read=on`: one more node on top. */
  async #overlay(node: BlockNode, common: CommonOptions, place: Place): Promise<BlockNode> {
    if (!place.isRoot || (!common.snapshot && !common.copyOnRead)) return node;
    const { temporary, registry } = this.#env;
    let image: BlockImage;
    if (!common.snapshot) image = copyOnRead(node);
    else if (temporary === undefined) image = cowStorage(node);
    else {
      const storage = await temporary();
      const qcow2 = registry.get('qcow2');
      await qcow2.create?.(storage, { size: node.size });
      image = await qcow2.open(storage, { backing: node, readOnly: false });
    }
    const top = new BlockNode(this.#graph, image, {
      filename: node.filename,
      discard: common.discard,
      detectZeroes: common.detectZeroes,
    });
    this.#opened.push(top);
    top.setChild(
      common.snapshot ? 'backing' : 'file',
      node,
      storageEdge(top, common.snapshot ? 'backing' : 'filtered'),
      true,
    );
    return top;
  }

  #add(
    image: BlockImage,
    common: CommonOptions,
    filename: string | undefined,
    extra: {
      reopen?: NodeOptions['reopen'];
      guessedRaw?: boolean;
      options?: OptionTree;
      isFlat?: boolean;
    },
  ): BlockNode {
    const { isFlat, ...how } = extra;
    const rules = {
      discard: common.discard,
      detectZeroes: common.detectZeroes,
      noFlush: common.cache.noFlush,
      // a storage under a format is flushed by the format
      writeThrough: isFlat === true ? false : common.cache.writeThrough,
    };
    let node: BlockNode;
    try {
      node = new BlockNode(this.#graph, image, { ...how, ...rules, name: common.name, filename });
    } catch (error) {
      void image.close().catch(() => undefined);
      throw error;
    }
    this.#opened.push(node);
    return node;
  }

  #warnGuessed(name: string | undefined): void {
    const { warn } = this.#env;
    warn?.(`WARNING: Image format was not specified for '${name ?? ''}' and probing guessed raw.`);
    warn?.(
      '         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.',
    );
    warn?.("         Specify the 'raw' format explicitly to remove the restrictions.");
  }
}

/** What a driver is given of a node: of a plain storage the storage itself, so that requests take no detour; of an image the node. */
function bare(node: BlockNode): Storage {
  return node.image instanceof ProtocolImage ? node.image.file : node;
}

const storageEdge = (parent: BlockNode, role: 'file' | 'backing' | 'data-file' | 'filtered') =>
  ({
    user: parent.name,
    role,
    uses: parent.readOnly ? (['read'] as const) : (['read', 'write', 'resize'] as const),
    shares: ['read'] as const,
    parent,
  }) as const;

async function findSecret(id: string, secret: BlockEnvironment['secret']): Promise<Uint8Array> {
  if (secret === undefined) throw new BlockError('key', `No secret with id '${id}'`);
  return secret(id);
}
