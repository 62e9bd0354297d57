/**
 * The one error type of this package. Every failure here is a mistake of the calling program (a code generator),
 * never of input data; `kind` tells mistakes apart without parsing the message.
 */

export type WasmEncodeErrorKind =
  /** `end`/`else_` without an open construct, or a body finished with constructs still open. */
  | 'unbalanced'
  /** A branch to a label whose construct is already closed, or that this function never had. */
  | 'label-closed'
  /** An opcode that needs immediates, or is unknown, was given to a method that writes none. */
  | 'bad-opcode'
  /** An immediate, index, name or limit outside its encodable range. */
  | 'bad-immediate'
  /** An import declared after a definition in the same index space: it would renumber the definition. */
  | 'import-after-definition'
  /** A second memory (the multi-memory proposal is not used here), or memory needed and absent. */
  | 'memory'
  /** Two exports with one name. */
  | 'duplicate-export';

export class WasmEncodeError extends Error {
  readonly kind: WasmEncodeErrorKind;

  constructor(kind: WasmEncodeErrorKind, message: string) {
    super(message);
    this.name = 'WasmEncodeError';
    this.kind = kind;
  }
}
