/** The name that a word with a slip was meant to be. */
export async function didYouMean(word: string, names: readonly string[]): Promise<string | undefined> {
  if (names.length === 0) return undefined;
  // only those who made a slip pay for the search
  const { closest, distance } = await import('fastest-levenshtein');
  const near = closest(word, names);
  return distance(word, near) <= 2 ? `did you mean ${near}?` : undefined;
}
