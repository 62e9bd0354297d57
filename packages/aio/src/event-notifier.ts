/**
 * A flag that wakes the context that watches it: the kick or call of a queue, a request to look again. Setting it
 * several times before it is seen is the same as setting it once.
 */
export class EventNotifier {
  private isSet = false;
  private watcher: (() => void) | undefined = undefined;

  set(): void {
    this.isSet = true;
    this.watcher?.();
  }

  /** Whether it was set; it is not afterwards. */
  testAndClear(): boolean {
    const was = this.isSet;
    this.isSet = false;
    return was;
  }

  /** Whether it is set, leaving it so. */
  test(): boolean {
    return this.isSet;
  }

  /** Called by the context that watches it, with what wakes that context. */
  watch(watcher: (() => void) | undefined): void {
    this.watcher = watcher;
  }
}
