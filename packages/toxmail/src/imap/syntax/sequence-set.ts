/** `*`: the largest number in use (RFC 9051 §9 `seq-number`). Zero is no message number. */
export const STAR = 0;

/** From, to; in any order, both included. */
export type NumberRange = readonly [number, number];

/** `'saved'` is `$` (RFC 5182). */
export type MessageSet = readonly NumberRange[] | 'saved';

/** Positions `from` up to, not including, `to` in an ascending list of UIDs. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The numbers meant, ascending and without overlaps. `largest`: what `*` stands for. */
export function normalized(ranges: readonly NumberRange[], largest: number): NumberRange[] {
  const whole = ranges.map(([a, b]): NumberRange => {
    const from = a === STAR ? largest : a;
    const to = b === STAR ? largest : b;
    return from <= to ? [from, to] : [to, from];
  });
  whole.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of whole) {
    const last = merged.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Where sequence numbers stand among `count` mails. Undefined if one of them is beyond the last (RFC 9051 §9). */
export function spansOfNumbers(ranges: readonly NumberRange[], count: number): Span[] | undefined {
  const all = normalized(ranges, Math.max(count, 1));
  if (all.length > 0 && all.at(-1)![1] > count) return undefined;
  return all.map(([from, to]) => ({ from: from - 1, to }));
}

/** Where the mails of these UIDs stand. UIDs that nobody has are passed over (RFC 9051 §6.4.9). */
export function spansOfUids(ranges: readonly NumberRange[], uids: Uint32Array): Span[] {
  const spans: Span[] = [];
  for (const [from, to] of normalized(ranges, uids.at(-1) ?? 0)) {
    const span = { from: lowerBound(uids, from), to: lowerBound(uids, to + 1) };
    if (span.from < span.to) spans.push(span);
  }
  return spans;
}

/** Ascending positions in as few pieces as there are. */
export function spansOfPositions(positions: Iterable<number>): Span[] {
  const spans: { from: number; to: number }[] = [];
  for (const position of positions) {
    const last = spans.at(-1);
    if (last?.to === position) last.to++;
    else spans.push({ from: position, to: position + 1 });
  }
  return spans;
}

/** The first position whose UID is not below `uid`. */
export function lowerBound(uids: Uint32Array, uid: number): number {
  let low = 0;
  let high = uids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (uids[middle]! < uid) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The position of a UID, or -1. */
export function positionOf(uids: Uint32Array, uid: number): number {
  const at = lowerBound(uids, uid);
  return uids[at] === uid ? at : -1;
}

/** `1:3,7`, of ascending numbers. */
export function formatSet(numbers: Iterable<number>): string {
  const parts: string[] = [];
  let from = 0;
  let to = 0;
  const push = (): void => void (from > 0 && parts.push(from === to ? String(from) : `${from}:${to}`));
  for (const number of numbers) {
    if (from > 0 && number === to + 1) {
      to = number;
      continue;
    }
    push();
    from = number;
    to = number;
  }
  push();
  return parts.join(',');
}
