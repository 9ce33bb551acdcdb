import type { Decoder } from './decoder.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY_MS = 86_400_000;

/**
 * `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`; milliseconds since 1970.
 */
export function readDateTime(d: Decoder): number {
  const match = /^( \d|\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/.exec(d.string());
  const day = match ? dayMs(match[3]!, match[2]!, match[1]!) : undefined;
  if (!match || day === undefined) {
    d.fail('date and time expected');
    return 0;
  }
  const [hour, minute, second, zoneHour, zoneMinute] = [4, 5, 6, 8, 9].map((i) => Number(match[i]));
  if (hour! > 23 || minute! > 59 || second! > 60 || zoneMinute! > 59) d.fail('no such time');
  const zone = (match[7] === '-' ? -1 : 1) * (zoneHour! * 60 + zoneMinute!);
  return day + ((hour! * 60 + minute! - zone) * 60 + second!) * 1_000;
}

/** `date = date-text / DQUOTE date-text DQUOTE`; days since 1970-01-01. */
export function readDate(d: Decoder): number {
  const match = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})$/.exec(d.astring());
  const day = match ? dayMs(match[3]!, match[2]!, match[1]!) : undefined;
  if (day === undefined) {
    d.fail('date expected');
    return 0;
  }
  return day / DAY_MS;
}

/** INTERNALDATE and SAVEDATE, in UTC, with quotes. */
export function formatDateTime(unixMs: number): string {
  const date = new Date(unixMs);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${String(date.getUTCDate()).padStart(2)}-${MONTHS[date.getUTCMonth()]}-${date.getUTCFullYear()}`;
  return `"${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000"`;
}

/** Undefined if there is no such day. */
function dayMs(year: string, month: string, day: string): number | undefined {
  const index = MONTHS.findIndex((name) => name.toLowerCase() === month.toLowerCase());
  const ms = Date.UTC(Number(year), index, Number(day));
  const date = new Date(ms);
  if (index < 0 || date.getUTCMonth() !== index || date.getUTCDate() !== Number(day)) return undefined;
  return ms;
}
