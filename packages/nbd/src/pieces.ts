/** Which bytes of a read have come. Pieces may come in any order and may not overlap; those that touch become one. */
import { MAX_PIECES } from './limits.ts';

export class Pieces {
  /** Starts and ends in turn, ascending. */
  readonly #edges: number[] = [];

  /** False: it overlaps an earlier one, or there are too many gaps. `start` < `end`. */
  add(start: number, end: number): boolean {
    const edges = this.#edges;
    // almost always the next in order
    let at = edges.length;
    while (at > 0 && (edges[at - 1] as number) > start) at--;
    if (at % 2 === 1 || (at < edges.length && (edges[at] as number) < end)) return false;
    const joinsLeft = at > 0 && edges[at - 1] === start;
    const joinsRight = at < edges.length && edges[at] === end;
    const from = joinsLeft ? at - 1 : at;
    const count = (joinsLeft ? 1 : 0) + (joinsRight ? 1 : 0);
    const added = [...(joinsLeft ? [] : [start]), ...(joinsRight ? [] : [end])];
    edges.splice(from, count, ...added);
    return edges.length <= 2 * MAX_PIECES;
  }

  /** Everything from `start` to `end` has come, and nothing else. */
  isComplete(start: number, end: number): boolean {
    return start === end
      ? this.#edges.length === 0
      : this.#edges.length === 2 && this.#edges[0] === start && this.#edges[1] === end;
  }
}
