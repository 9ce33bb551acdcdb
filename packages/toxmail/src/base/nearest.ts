/** The one of `words` that somebody meant who typed `typed`: at most two signs are missing, wrong, swapped or too many. */
export function nearest(typed: string, words: Iterable<string>): string | undefined {
  let best: string | undefined;
  let distance = Math.min(2, Math.floor(typed.length / 3)) + 1;
  if (typed.length > TYPED_MAX) return undefined;
  for (const word of words) {
    const found = edits(typed.toLowerCase(), word.toLowerCase());
    if (found >= distance) continue;
    best = word;
    distance = found;
  }
  return best;
}

/** Longer ones are no slip of the finger, and take their time. */
const TYPED_MAX = 64;

/** Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`. */
function edits(a: string, b: string): number {
  let [before, last]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(last![j]! + 1, row[j - 1]! + 1, last![j - 1]! + same, swapped ? before![j - 2]! + 1 : Infinity);
    }
    [before, last] = [last, row];
  }
  return last!.at(-1)!;
}
