/** The workspace as its manifests describe it: what several tools need to know about the packages. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly private?: boolean;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export interface WorkspacePackage {
  /** Folder from the repository root, `packages/bits`. */
  readonly dir: string;
  /** Folder name, which is the package name without scope. */
  readonly id: string;
  readonly manifest: Manifest;
}

/** The packages of `packages` (or of the areas given), in the order of their names; tools run from the repository root. */
export function workspacePackages(...areas: readonly string[]): WorkspacePackage[] {
  return (areas.length === 0 ? ['packages'] : areas)
    .flatMap((area) =>
      readdirSync(area)
        .sort()
        .map((id) => ({ id, dir: `${area}/${id}` })),
    )
    .filter(({ dir }) => existsSync(`${dir}/package.json`))
    .map(({ id, dir }) => ({ id, dir, manifest: readManifest(`${dir}/package.json`) }));
}

function readManifest(file: string): Manifest {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  } catch (cause) {
    throw new Error(`${file}: ${String(cause)}`, { cause });
  }
}

/** Runs `work` on all items, at most `limit` at a time. */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: limit }, worker));
}
