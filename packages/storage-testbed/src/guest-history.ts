/**
 * What a guest has done and when, and so what its disk may read as at any moment: everything that was acknowledged before a flush began
 * which has completed is there, the rest may be, in part or not at all.
 */
import { type ContentModel } from './content-model.ts';
import type { Change } from './content-model.ts';

export type GuestEvent = {
  readonly started: number;
  /** Infinity while it is under way. */
  done: number;
  /** It ended with an error: it may have been done in part. */
  failed: boolean;
} & (
  | { readonly kind: 'change'; readonly change: Change; readonly isHint: boolean }
  | { readonly kind: 'resize'; readonly size: number; readonly fresh: 'zero' | 'any' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'snapshot'; readonly name: string; readonly content: ContentModel }
  | { readonly kind: 'apply'; readonly content: ContentModel }
  | { readonly kind: 'delete'; readonly name: string }
);

/** The moments at which `at` is asked must not go back. */
export class GuestHistory {
  readonly #events: readonly GuestEvent[];
  readonly #durable: ContentModel;
  readonly #flushes: readonly (GuestEvent & { readonly kind: 'flush' })[];
  /** Snapshots that must be there, unless they are being deleted. */
  readonly #snapshots = new Map<string, ContentModel>();
  #pending: GuestEvent[] = [];
  #next = 0;
  #nextFlush = 0;
  #model: ContentModel | undefined;

  constructor(initial: ContentModel, events: readonly GuestEvent[]) {
    this.#durable = initial.fork();
    this.#events = events;
    this.#flushes = events
      .filter((e) => e.kind === 'flush')
      .filter((e) => !e.failed && e.done !== Infinity)
      .sort((a, b) => a.done - b.done);
  }

  at(time: number): ContentModel {
    while (this.#next < this.#events.length && (this.#events[this.#next] as GuestEvent).started <= time) {
      const event = this.#events[this.#next++] as GuestEvent;
      if (event.kind === 'flush') continue;
      this.#pending.push(event);
      this.#model = undefined;
    }
    for (let flush; (flush = this.#flushes[this.#nextFlush]) !== undefined && flush.done <= time; this.#nextFlush++) {
      this.#fold(flush.started);
      this.#model = undefined;
    }
    if (this.#model === undefined) {
      this.#model = this.#durable.fork();
      for (const event of this.#pending) applyEvent(this.#model, event, false);
    }
    return this.#model;
  }

  /** What each durable snapshot must read as, at the moment last asked about. */
  snapshots(): ReadonlyMap<string, ContentModel> {
    const there = new Map(this.#snapshots);
    for (const event of this.#pending) if (event.kind === 'delete') there.delete(event.name);
    return there;
  }

  #fold(flushed: number): void {
    const rest: GuestEvent[] = [];
    for (const event of this.#pending) {
      if (event.done >= flushed) {
        rest.push(event);
        continue;
      }
      applyEvent(this.#durable, event, true);
      if (event.kind === 'snapshot' && !event.failed) this.#snapshots.set(event.name, event.content);
      else if (event.kind === 'delete') this.#snapshots.delete(event.name);
    }
    this.#pending = rest;
  }
}

/** `isDone`: for certain, as far as the event itself is. */
export function applyEvent(model: ContentModel, event: GuestEvent, isDone: boolean): void {
  const isCertain = isDone && !event.failed;
  if (event.kind === 'change') model.apply(event.change, isCertain && !event.isHint);
  else if (event.kind === 'resize') model.resize(event.size, isCertain, event.fresh);
  else if (event.kind === 'apply') {
    if (isCertain) model.become(event.content);
    else model.merge(event.content);
  }
}
