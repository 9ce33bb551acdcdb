import { type Meeting, meet, PLACES, type Place, type Side } from './meeting.ts';
import type { Program } from './peers.ts';

export type Pair = readonly [Side, Side];

export interface Row {
  readonly pair: Pair;
  readonly meeting: Meeting;
}

export interface MatrixOptions {
  /** Meetings at a time. */
  parallel: number;
  /** How long a pair may try to get a direct connection. */
  limitMs: number;
  /** Whose public nodes there are; default c-toxcore's. */
  network?: Program;
  onRow?: (row: Row) => void;
}

/** Each pair of places once for each pair of programs; with two programs both ways round. */
export function allPairs(places: readonly Place[] = PLACES): Pair[] {
  const pairs: Pair[] = [];
  for (const [i, a] of places.entries())
    for (const [j, b] of places.entries()) {
      if ((a === 'same-router') !== (b === 'same-router')) continue;
      pairs.push(pair('toxmail', a, 'c-toxcore', b));
      if (j < i) continue;
      pairs.push(pair('c-toxcore', a, 'c-toxcore', b), pair('toxmail', a, 'toxmail', b));
    }
  return pairs;
}

/** The four pairs of programs in each of these pairs of places. */
export function pairsIn(places: readonly (readonly [Place, Place])[]): Pair[] {
  return places.flatMap(([a, b]) => [
    pair('c-toxcore', a, 'c-toxcore', b),
    pair('toxmail', a, 'toxmail', b),
    pair('toxmail', a, 'c-toxcore', b),
    ...(a === b ? [] : [pair('toxmail', b, 'c-toxcore', a)]),
  ]);
}

/**
 * All these meetings. Pairs in which c-toxcore seems better meet once more, with little beside them, and that counts: on a
 * busy machine whoever is waiting for the processor loses seconds.
 */
export async function matrix(pairs: readonly Pair[], options: MatrixOptions): Promise<Row[]> {
  const rows = await all(pairs, options);
  const doubtful = new Set(shortcomings(rows).flatMap((row) => [row.pair, baseline(rows, row.pair)!.pair]));
  const again = await all([...doubtful], { ...options, parallel: 2 });
  return rows.map((row) => again.find(({ pair }) => pair === row.pair) ?? row);
}

async function all(pairs: readonly Pair[], options: MatrixOptions): Promise<Row[]> {
  const rows: Row[] = [];
  const waiting = [...pairs];
  const work = async () => {
    for (let pair = waiting.shift(); pair; pair = waiting.shift()) {
      const row = { pair, meeting: await meet(pair, options.limitMs, options.network) };
      rows.push(row);
      options.onRow?.(row);
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, work));
  return rows;
}

/** Two c-toxcore in the same places. */
function baseline(rows: readonly Row[], [a, b]: Pair): Row | undefined {
  return find(rows, ['c-toxcore', a.place], ['c-toxcore', b.place]);
}

/**
 * Where a pair with one or two of ours is not connected though two c-toxcore are, or not directly though they are, or
 * later.
 */
function shortcomings(rows: readonly Row[]): Row[] {
  return rows.filter(({ pair, meeting }) => {
    const theirs = baseline(rows, pair)?.meeting;
    return theirs && pair.some(({ program }) => program === 'toxmail') && isWorse(meeting, theirs);
  });
}

/** One line for each shortcoming. */
export function complaints(rows: readonly Row[]): string[] {
  return shortcomings(rows).map(
    ({ pair, meeting }) =>
      `${describe(pair)}: ${outcome(meeting)}, two c-toxcore ${outcome(baseline(rows, pair)!.meeting)}`,
  );
}

/** Seconds that a start under load may take longer. */
const SLACK_SECONDS = 2;

function isWorse(ours: Meeting, theirs: Meeting): boolean {
  if (theirs.online === undefined) return false;
  if (ours.online === undefined || ours.wire === undefined) return true;
  if (theirs.wire === 'direct' && ours.wire !== 'direct') return true;
  const late = (mine = Number.POSITIVE_INFINITY, their = Number.POSITIVE_INFINITY) => mine > their + SLACK_SECONDS;
  return late(ours.online, theirs.online) || late(ours.direct, theirs.direct);
}

/** The row of these two sides, either way round. */
export function find(
  rows: readonly Row[],
  one: readonly [Program, Place],
  two: readonly [Program, Place],
): Row | undefined {
  const is = (side: Side, [program, place]: readonly [Program, Place]) =>
    side.program === program && side.place === place;
  return rows.find(({ pair: [a, b] }) => (is(a, one) && is(b, two)) || (is(a, two) && is(b, one)));
}

/** As `direct 1.2 s`, `relay 9.0 s`, `relay 1.0 s, direct 9.5 s`, `–`. */
export function outcome({ online, direct, wire }: Meeting): string {
  if (online === undefined) return '–';
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  if (wire === undefined) return `broken after ${seconds(online)}`;
  if (wire === 'relay') return `relay ${seconds(online)}`;
  // What is direct within a second of being online was never noticeably relayed.
  if (direct === undefined || direct - online < 1) return `direct ${seconds(direct ?? online)}`;
  return `relay ${seconds(online)}, direct ${seconds(direct)}`;
}

export function describe([a, b]: Pair): string {
  return `${a.program} ${a.place} with ${b.program} ${b.place}`;
}

export function pair(program: Program, place: Place, otherProgram: Program, otherPlace: Place): Pair {
  return [
    { program, place },
    { program: otherProgram, place: otherPlace },
  ];
}
