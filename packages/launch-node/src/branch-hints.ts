/** What generated WebAssembly says of its branches is heard. */
import { flagSetter } from './flag-setter.ts';

/** Versions of Node whose V8 has branch hints, but only on request. From 25 on it needs none. */
const ON_REQUEST = { first: 20, last: 24 } as const;

/**
 * V8 reads the branch hints of modules that are compiled from now on, in this process and its workers, and puts what is seldom run out of the way.
 *
 * Call it when the modules are loaded, see `optimizeLater`.
 */
export function hearBranchHints(): void {
  const version = Number.parseInt(process.versions.node, 10);
  if (version < ON_REQUEST.first || version > ON_REQUEST.last) return;
  const flag = 'experimental-wasm-branch-hinting';
  const setFlagsFromString = flagSetter();
  setFlagsFromString(`--${flag}`);
  // the code cache that is written at the end bears the flags of that moment
  process.prependOnceListener('exit', () => setFlagsFromString(`--no-${flag}`));
}
