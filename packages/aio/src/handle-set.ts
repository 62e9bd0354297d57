/**
 * Event sources of one context: handles (a socket, a terminal, a shared-memory ring) with readiness, and event
 * notifiers. Sources may be added and removed at any time, from their own callbacks too; a removed one is not called
 * again, and one added during a dispatch is first looked at by the next.
 */
import type { EventNotifier } from './event-notifier.ts';

/** Conditions of a handle, as a bit mask. */
export const AIO_READABLE = 1;
export const AIO_WRITABLE = 2;

/** Something outside the loop that becomes ready. Given by the embedding program. */
export interface AioHandle {
  /** The conditions that hold now (`AIO_READABLE | AIO_WRITABLE`). Asked in every poll: must be cheap. */
  readiness(): number;
  /** Arrange for `wake` to be called whenever a condition may have begun to hold; returns what undoes it. */
  subscribe(wake: () => void): () => void;
}

export interface AioHandlers {
  readonly onReadable?: () => void;
  readonly onWritable?: () => void;
}

interface Source {
  readonly key: AioHandle | EventNotifier;
  removed: boolean;
  isReady(): boolean;
  /** Call the handlers of what is ready; whether there was anything. */
  dispatch(): boolean;
  detach(): void;
}

export class HandleSet {
  private sources: Source[] = [];
  private depth = 0;
  private readonly wake: () => void;

  constructor(wake: () => void) {
    this.wake = wake;
  }

  setHandle(handle: AioHandle, handlers: AioHandlers | undefined): void {
    this.removeSource(handle);
    if (handlers === undefined) return;
    const wanted = (handlers.onReadable ? AIO_READABLE : 0) | (handlers.onWritable ? AIO_WRITABLE : 0);
    const source: Source = {
      key: handle,
      removed: false,
      isReady: () => (handle.readiness() & wanted) !== 0,
      dispatch: () => {
        const ready = handle.readiness() & wanted;
        if (ready & AIO_READABLE) handlers.onReadable?.();
        if (ready & AIO_WRITABLE && !source.removed) handlers.onWritable?.();
        return ready !== 0;
      },
      detach: handle.subscribe(this.wake),
    };
    this.sources.push(source);
    if (source.isReady()) this.wake();
  }

  setNotifier(notifier: EventNotifier, handler: (() => void) | undefined): void {
    this.removeSource(notifier);
    if (handler === undefined) return;
    notifier.watch(this.wake);
    this.sources.push({
      key: notifier,
      removed: false,
      isReady: () => notifier.test(),
      dispatch: () => {
        if (!notifier.testAndClear()) return false;
        handler();
        return true;
      },
      detach: () => notifier.watch(undefined),
    });
    if (notifier.test()) this.wake();
  }

  anyReady(): boolean {
    for (const source of this.sources) if (!source.removed && source.isReady()) return true;
    return false;
  }

  /** Call the handlers of all ready sources, each at most once; whether any was ready. */
  dispatch(): boolean {
    const count = this.sources.length;
    if (count === 0) return false;
    let progress = false;
    this.depth++;
    try {
      for (let i = 0; i < count; i++) {
        const source = this.sources[i] as Source;
        if (!source.removed && source.dispatch()) progress = true;
      }
    } finally {
      // Entries must keep their places while any dispatch, nested ones included, walks the list.
      if (--this.depth === 0) this.sources = this.sources.filter((source) => !source.removed);
    }
    return progress;
  }

  private removeSource(key: AioHandle | EventNotifier): void {
    const source = this.sources.find((candidate) => candidate.key === key && !candidate.removed);
    if (source === undefined) return;
    source.removed = true;
    source.detach();
    if (this.depth === 0) this.sources = this.sources.filter((other) => other !== source);
  }
}
