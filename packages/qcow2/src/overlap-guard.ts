/**
 * Keeps data out of metadata: with wrong refcounts or a wrong L2 entry a write would destroy tables. QEMU's "overlap-check": a write that
 * hits is refused and the image marked corrupt. Built when the first write comes, then kept up to date.
 */
import { BlockError } from '@emkit/storage';
import { ClusterSet } from './cluster-set.ts';

/** Number = kind in the set; the names of QEMU's messages. */
export const OVERLAP_NAMES: readonly string[] = [
  '',
  'qcow2_header',
  'active L1 table',
  'active L2 table',
  'refcount table',
  'refcount block',
  'snapshot table',
  'inactive L1 table',
  'inactive L2 table',
  'bitmap directory',
];

/** Names of the driver options `overlap-check.NAME`. */
const OPTION_NAMES = [
  'main-header',
  'active-l1',
  'active-l2',
  'refcount-table',
  'refcount-block',
  'snapshot-table',
  'inactive-l1',
  'inactive-l2',
  'bitmap-directory',
] as const;
export type MetadataKind = (typeof OPTION_NAMES)[number];

const CONSTANT: readonly MetadataKind[] = [
  'main-header',
  'active-l1',
  'refcount-table',
  'snapshot-table',
  'bitmap-directory',
];
const CACHED: readonly MetadataKind[] = [...CONSTANT, 'active-l2', 'refcount-block', 'inactive-l1'];
const TEMPLATES: Readonly<Record<string, readonly MetadataKind[]>> = {
  none: [],
  constant: CONSTANT,
  cached: CACHED,
  all: OPTION_NAMES,
};

/** The kinds to be looked for, from the driver's options; takes those out of `options` that it has understood. */
export function overlapKinds(options: Map<string, string>): ReadonlySet<MetadataKind> {
  const name = options.get('overlap-check.template') ?? options.get('overlap-check') ?? 'cached';
  const template = Object.hasOwn(TEMPLATES, name) ? TEMPLATES[name] : undefined;
  if (template === undefined)
    throw new BlockError(
      'invalid-option',
      `Unsupported value '${name}' for qcow2 option 'overlap-check'. Allowed are any of the following: none, constant, cached, all`,
    );
  options.delete('overlap-check.template');
  options.delete('overlap-check');
  const kinds = new Set(template);
  for (const kind of OPTION_NAMES) {
    const value = options.get(`overlap-check.${kind}`);
    if (value === undefined) continue;
    options.delete(`overlap-check.${kind}`);
    if (value === 'on') kinds.add(kind);
    else if (value === 'off') kinds.delete(kind);
    else throw new BlockError('invalid-option', `Parameter 'overlap-check.${kind}' expects 'on' or 'off'`);
  }
  return kinds;
}

export class OverlapGuard {
  readonly #set = new ClusterSet();
  readonly #kinds: ReadonlySet<MetadataKind>;
  readonly #clusterSize: number;

  constructor(kinds: ReadonlySet<MetadataKind>, clusterSize: number) {
    this.#kinds = kinds;
    this.#clusterSize = clusterSize;
  }

  add(kind: MetadataKind, cluster: number, count = 1): void {
    if (!this.#kinds.has(kind)) return;
    const number = OPTION_NAMES.indexOf(kind) + 1;
    for (let i = 0; i < count; i++) this.#set.set(cluster + i, number);
  }

  remove(cluster: number, count = 1): void {
    for (let i = 0; i < count; i++) this.#set.delete(cluster + i);
  }

  /** Whether a run of clusters holds any. Hot path. */
  meets(first: number, count: number): boolean {
    return this.#set.meets(first, count);
  }

  /** What a write to these bytes of the file would hit, in QEMU's words. Hot path. */
  hit(offset: number, length: number): string | undefined {
    const first = Math.floor(offset / this.#clusterSize);
    const last = Math.floor((offset + length - 1) / this.#clusterSize);
    if (!this.#set.meets(first, last - first + 1)) return undefined;
    for (let cluster = first; cluster <= last; cluster++) {
      const kind = this.#set.get(cluster);
      if (kind !== 0) return OVERLAP_NAMES[kind];
    }
    return undefined;
  }
}
