/**
 * Thrown when data from outside claims more than there is: a read past the end, a size beyond its limit.
 * `offset` is the byte offset where the read began, when there was one.
 */
export class BoundsError extends Error {
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(message);
    this.name = 'BoundsError';
    this.offset = offset;
  }
}
