/** The one error type of this package: every one is a mistake in the calling program, or a full queue. */

export type AioErrorKind =
  /** A coroutine was entered while it runs (itself, or further up the chain of enters). */
  | 're-entered'
  /** A coroutine was entered or woken after its end. */
  | 'terminated'
  /** A coroutine was entered or woken while a wake-up is already under way. */
  | 'already-scheduled'
  /** A lock was released by a coroutine (or plain code) that does not hold it. */
  | 'not-owner'
  /** Waiting for what can never happen: locking one's own lock, a blocking poll with nothing scheduled. */
  | 'deadlock'
  /** A blocking poll on a host that cannot block. */
  | 'cannot-block'
  /** A bounded queue is full. */
  | 'queue-full'
  /** The awaited work was cancelled. */
  | 'cancelled'
  /** A time that is not a number of nanoseconds in range. */
  | 'bad-time'
  /** A second `wait` on a context that is asleep. */
  | 'already-waiting'
  /** A bottom half was used after its deletion. */
  | 'deleted';

export class AioError extends Error {
  readonly kind: AioErrorKind;

  constructor(kind: AioErrorKind, message: string) {
    super(message);
    this.name = 'AioError';
    this.kind = kind;
  }
}
