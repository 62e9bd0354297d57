/** "did you mean": the nearest of a list of names, when it is near enough to be worth saying. */
import { distance } from 'fastest-levenshtein';

/** Nearest candidate within edit distance 2 (1 for short words), else one that shares a prefix of at least 4 letters. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const allowed = wanted.length <= 3 ? 1 : 2;
  let best: string | undefined;
  let bestDistance = allowed + 1;
  for (const candidate of candidates) {
    const d = distance(wanted, candidate.toLowerCase());
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  if (best !== undefined || wanted.length < 4) return best;
  return candidates.find(
    (c) => c.toLowerCase().startsWith(wanted) || (c.length >= 4 && wanted.startsWith(c.toLowerCase())),
  );
}

/** `did you mean X?` followed by `rest`, or only `rest`. */
export function didYouMean(word: string, candidates: readonly string[], rest: string): string {
  const guess = nearest(word, candidates);
  return guess === undefined ? rest : `did you mean ${guess}?   ${rest}`;
}
