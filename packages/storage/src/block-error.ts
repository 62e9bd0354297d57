/** The one error of the storage packages: a stable kind for programs, words for people. Recognise it by `name` and `kind`, not by class. */

export type BlockErrorKind =
  /** The store below failed. */
  | 'io'
  /** No space left, a quota, or a size that the format cannot hold. */
  | 'no-space'
  /** Not an image of this format, or a header that contradicts itself. */
  | 'invalid-format'
  /** A feature that the image needs and this code does not have. */
  | 'unsupported-feature'
  /** Metadata that cannot be right was met while working. */
  | 'corrupt-image'
  /** A request outside the disk. */
  | 'out-of-bounds'
  /** A write to what is open for reading only. */
  | 'read-only'
  /** An option or argument of the caller's. */
  | 'invalid-option'
  /** The image names another file, and the caller's resolver does not open it. */
  | 'refused'
  /** A file, snapshot or bitmap that does not exist. */
  | 'not-found'
  /** A file, snapshot or bitmap that exists already. */
  | 'exists'
  /** Somebody else uses the image. */
  | 'locked'
  /** The secret is missing or wrong. */
  | 'key'
  /** The caller's signal ended it. */
  | 'aborted'
  /** Used after `close`. */
  | 'closed';

export interface BlockErrorContext {
  /** Bytes from the start of the image file: where the field or table stands that is wrong. */
  readonly offset?: number | undefined;
  /** The field, as the format's document spells it. */
  readonly field?: string | undefined;
  /** What to do about it, for a person. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class BlockError extends Error {
  override readonly name = 'BlockError';
  readonly kind: BlockErrorKind;
  readonly offset: number | undefined;
  readonly field: string | undefined;
  readonly hint: string | undefined;

  constructor(kind: BlockErrorKind, message: string, context: BlockErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.kind = kind;
    this.offset = context.offset;
    this.field = context.field;
    this.hint = context.hint;
  }
}

/** Also for errors of another copy of this package. */
export function isBlockError(error: unknown, kind?: BlockErrorKind): error is BlockError {
  return (
    error instanceof Error && error.name === 'BlockError' && (kind === undefined || (error as BlockError).kind === kind)
  );
}
