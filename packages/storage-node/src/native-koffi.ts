/**
 * koffi's native module without koffi's own loader: that reads eight files through Node's resolution and takes 9 ms, the module alone 2. Where the module does not lie as
 * npm puts it, or is another version, there is none here, and `import('koffi')` does it.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type * as Module from 'koffi';

export type Koffi = Pick<typeof Module, 'load' | 'struct' | 'pointer' | 'inout' | 'errno'>;

/** The one in package.json. */
const VERSION = '3.3.4';
/** Where names of the folders are just these; elsewhere the ABI is part of them. */
const ARCHITECTURES = new Set(['x64', 'arm64']);
/** Such a system may be one where the module for glibc loads and does not work. */
const MUSL = ['/lib/ld-musl-x86_64.so.1', '/lib/ld-musl-aarch64.so.1'];

/** For Linux. `from`: the folder of the module that needs it. */
export function nativeKoffi(from: string = import.meta.dirname): Koffi | undefined {
  const { arch } = process;
  if (!ARCHITECTURES.has(arch) || MUSL.some((file) => existsSync(file))) return undefined;
  const within = join('node_modules', '@koromix', `koffi-linux-${arch}`, `linux_${arch}`, 'koffi.node');
  for (let folder = from; ;) {
    const file = join(folder, within);
    if (existsSync(file)) return load(file);
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}

function load(file: string): Koffi | undefined {
  // not `require`: what that does besides takes as long again
  const module: { exports: Partial<Koffi> & { readonly version?: string } } = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch {
    // for another system: koffi's loader knows more of them
    return undefined;
  }
  return module.exports.version === VERSION ? (module.exports as Koffi) : undefined;
}
