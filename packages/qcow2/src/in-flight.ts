/** Guest ranges, in whole clusters, whose mapping is being changed: who wants to change the same ones waits. A few dozen at most. */

export interface Claim {
  readonly start: number;
  readonly end: number;
  readonly done: Promise<void>;
  readonly release: () => void;
}

export class InFlight {
  readonly #claims: Claim[] = [];

  /** The claim with the lowest start that overlaps [start, end). */
  overlapping(start: number, end: number): Claim | undefined {
    let first: Claim | undefined;
    for (const claim of this.#claims)
      if (claim.start < end && claim.end > start && (first === undefined || claim.start < first.start)) first = claim;
    return first;
  }

  claim(start: number, end: number): Claim {
    let resolve: () => void = () => {};
    const done = new Promise<void>((settle) => (resolve = settle));
    const claim: Claim = {
      start,
      end,
      done,
      release: () => {
        this.#claims.splice(this.#claims.indexOf(claim), 1);
        resolve();
      },
    };
    this.#claims.push(claim);
    return claim;
  }
}
