import type { HeaderField } from '../../message/header.ts';
import { folded } from './search-text.ts';
import { unfolded } from './wire-text.ts';

/** What SORT and THREAD need of a mail (RFC 5256 §2). */

/** §2.1: the subject without reply and forward marks. `reply`: it had some. */
export function baseSubject(text: string): { base: string; reply: boolean } {
  let base = folded(text.slice(0, SUBJECT_MAX)).trim();
  let reply = false;
  for (let before = ''; before !== base; ) {
    before = base;
    if (base.endsWith('(fwd)')) {
      base = base.slice(0, -5).trimEnd();
      reply = true;
    }
    const leader = LEADER.exec(base);
    if (leader) {
      base = base.slice(leader[0].length);
      reply = true;
    }
    const blob = BLOB.exec(base);
    if (blob && blob[0].length < base.length) base = base.slice(blob[0].length);
    const forward = /^\[fwd:(.*)\]$/s.exec(base);
    if (forward) {
      base = forward[1]!.trim();
      reply = true;
    }
  }
  return { base, reply };
}

/** A subject of nested marks takes time by the square of its length. */
const SUBJECT_MAX = 1_000;
const LEADER = /^(?:\[[^[\]]{0,200}\] ?)*(?:re|fwd?) ?(?:\[[^[\]]{0,200}\] ?)?: ?/;
const BLOB = /^\[[^[\]]{0,200}\] ?/;

/** Ids without brackets. BOUNDED: the nearest ANCESTORS_MAX, and the oldest, which names the thread. */
export function ancestors(header: readonly HeaderField[]): string[] {
  const references = ids(unfolded(header, 'references'));
  const found = references.length > 0 ? references : ids(unfolded(header, 'in-reply-to')).slice(0, 1);
  return found.length > ANCESTORS_MAX ? [found[0]!, ...found.slice(1 - ANCESTORS_MAX)] : found;
}

export function messageId(header: readonly HeaderField[]): string {
  return ids(unfolded(header, 'message-id'))[0] ?? '';
}

const ANCESTORS_MAX = 64;
const ID_MAX = 500;

function ids(value: string | undefined): string[] {
  const found = [];
  for (const [, id] of value?.matchAll(/<([^<>\s]{1,1000})>/g) ?? []) found.push(id!.slice(0, ID_MAX));
  return found;
}

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const ZONES = new Map([
  ['ut', 0],
  ['gmt', 0],
  ['z', 0],
  ['est', -300],
  ['edt', -240],
  ['cst', -360],
  ['cdt', -300],
  ['mst', -420],
  ['mdt', -360],
  ['pst', -480],
  ['pdt', -420],
]);
const DATE =
  /(\d{1,2})[ -]([a-z]{3})[a-z]*[ -](\d{4}|\d{2,3})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?([+-]\d{4}|[a-z]{1,5}))?)?/i;

/** The Date field (RFC 5322 §3.3, §4.3): the day as written, days since 1970, and the moment in milliseconds. */
export function sentDate(value: string | undefined): { day: number; ms: number } | undefined {
  const match = DATE.exec(
    value
      ?.slice(0, 200)
      .replace(/\([^)]*\)/g, ' ')
      .replace(/\s+/g, ' ') ?? '',
  );
  const month = MONTHS.indexOf(match?.[2]?.toLowerCase() ?? '');
  if (!match || month < 0) return undefined;
  let year = Number(match[3]);
  if (match[3]!.length === 2) year += year < 50 ? 2000 : 1900;
  else if (match[3]!.length === 3) year += 1900;
  const midnight = Date.UTC(year, month, Number(match[1]));
  const time = ((Number(match[4] ?? 0) * 60 + Number(match[5] ?? 0)) * 60 + Number(match[6] ?? 0)) * 1000;
  return { day: Math.floor(midnight / 86_400_000), ms: midnight + time - zoneMinutes(match[7] ?? '') * 60_000 };
}

function zoneMinutes(zone: string): number {
  const match = /^([+-])(\d{2})(\d{2})$/.exec(zone);
  if (!match) return ZONES.get(zone.toLowerCase()) ?? 0;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return match[1] === '-' ? -minutes : minutes;
}
