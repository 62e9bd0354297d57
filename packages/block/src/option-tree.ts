/**
 * Ways to name an image: a file name, `json:{...}`, `driver=..,file.filename=..` (QEMU's --image-opts and -blockdev), a tree. All become
 * one tree of options. Opens nothing, and knows no option but the shape of QEMU's.
 */
import { BlockError } from '@emkit/storage';

export type OptionValue = string | number | boolean | null | OptionTree;
export interface OptionTree {
  readonly [key: string]: OptionValue;
}

/**
 * `text` is a file name (`json:{...}` and `fat-protocol:rest` names included), or with `imageOpts` a list `key=value,key.sub=value` in
 * which `,,` is a comma. A plain name gives `{ filename }`, which `openImage` takes apart by the protocols it has. Throws `invalid-option`.
 */
export function parseImageSpec(_text: string, _how: { readonly imageOpts?: boolean } = {}): OptionTree {
  throw new BlockError('unsupported-feature', 'not written yet');
}

/** Name of a file that `base` refers to as `name`: relative names are relative to `base`'s directory; absolute ones, URLs and `json:` stand for themselves. */
export function resolveName(_base: string, _name: string): string {
  throw new BlockError('unsupported-feature', 'not written yet');
}
