/**
 * Clusters of the disk that somebody is allocating or zeroing: who wants one of them waits, so that no cluster is allocated twice, nor
 * written while it is being copied. Few at a time, so a list.
 */

interface Claim {
  readonly first: number;
  readonly last: number;
  readonly released: Promise<void>;
  readonly release: () => void;
}

export class Claims {
  readonly #claims: Claim[] = [];

  get isEmpty(): boolean {
    return this.#claims.length === 0;
  }

  /** Claims the clusters and gives the function that ends it; or, when one of them is claimed, what to wait for before trying again. */
  take(first: number, last: number): (() => void) | Promise<void> {
    for (const claim of this.#claims) if (claim.first <= last && first <= claim.last) return claim.released;
    let settle = (): void => undefined;
    const released = new Promise<void>((resolve) => (settle = resolve));
    const claim: Claim = {
      first,
      last,
      released,
      release: () => {
        this.#claims.splice(this.#claims.indexOf(claim), 1);
        settle();
      },
    };
    this.#claims.push(claim);
    return claim.release;
  }

  /** Resolves when there are none; new ones may come meanwhile, so ask again. */
  async settle(): Promise<void> {
    await Promise.all(this.#claims.map((claim) => claim.released));
  }
}
