/** What images are stored in: from a name or options to an opener, and from that to a storage. */
import { BlockError, type IoOptions, type Storage } from '@emkit/storage';
import type { BlockEnvironment, ProtocolOpener, ProtocolRequest } from './environment.ts';
import { schemeOf, type OptionTree, type OptionValue } from './option-tree.ts';

export function protocolOf(env: BlockEnvironment, name: string): ProtocolOpener | undefined {
  return Object.hasOwn(env.protocols, name) ? env.protocols[name] : undefined;
}

/** `{ filename }` as options with a `driver`; options that have one stay as they are. */
export function splitName(tree: OptionTree, env: BlockEnvironment): OptionTree {
  const { filename, ...rest } = tree;
  if (tree['driver'] !== undefined) return tree;
  if (typeof filename !== 'string')
    throw new BlockError('invalid-option', 'A block device must be specified for "file"');
  const driver = schemeOf(filename) ?? 'file';
  const opener = protocolOf(env, driver);
  if (opener === undefined) throw new BlockError('invalid-option', `Unknown protocol '${driver}'`);
  return { ...rest, driver, ...(opener.parseName?.(filename) ?? { filename }) };
}

/** The name by which messages and relative names know it, and what tells whether two names are one storage. */
export function storageNames(
  env: BlockEnvironment,
  driver: string,
  own: OptionTree,
): { readonly name: string | undefined; readonly identity: string | undefined } {
  const filename: OptionValue | undefined = own['filename'];
  const canonical = protocolOf(env, driver)?.canonicalName?.(own);
  const name = typeof filename === 'string' ? filename : canonical;
  const identity = canonical ?? name;
  return { name, identity: identity === undefined ? undefined : `${driver}:${identity}` };
}

export async function openStorage(
  env: BlockEnvironment,
  driver: string,
  own: OptionTree,
  request: ProtocolRequest & { readonly create?: boolean } & IoOptions,
): Promise<Storage> {
  const opener = protocolOf(env, driver);
  if (opener === undefined) throw new BlockError('invalid-option', `Unknown driver '${driver}'`);
  if (request.create !== true) return opener.open(own, request);
  if (opener.create === undefined)
    throw new BlockError('invalid-option', `Protocol driver '${driver}' does not support image creation`);
  return opener.create(own, { signal: request.signal });
}

/** Nobody guesses the format of a file that an image names. */
export const noFormat = (name: string): BlockError =>
  new BlockError('refused', `The format of the backing file '${name}' is not stored in the image, and is not guessed`, {
    field: 'backing format',
    hint: 'name it (backing.driver=...), or store it with rebase -u -F',
  });
