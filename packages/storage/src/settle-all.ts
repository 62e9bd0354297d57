/** Waits until all have settled, so that nothing is in flight afterwards; then rejects as the first of them that did. */
export async function settleAll(started: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(started)) if (result.status === 'rejected') throw result.reason;
}
