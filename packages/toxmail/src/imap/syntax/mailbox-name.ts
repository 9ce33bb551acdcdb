/** Between the levels of a mailbox's name, on the wire as in `mailbox/`. */
export const DELIMITER = '/';

/** RFC 9051 §5.1: INBOX in any case is the one inbox; all else is as written. */
export function canonicalName(name: string): string {
  if (/^inbox$/i.test(name)) return 'INBOX';
  return /^inbox\//i.test(name) ? `INBOX${name.slice(5)}` : name;
}

/**
 * RFC 9051 §6.3.9: `*` stands for anything, `%` for anything but the delimiter. In time proportional to the product of
 * the lengths, whatever the pattern.
 */
export function matchesPattern(name: string, pattern: string): boolean {
  // reached[i]: the pattern up to here can stand for the first i characters of the name.
  let reached = new Uint8Array(name.length + 1);
  let next = new Uint8Array(name.length + 1);
  reached[0] = 1;
  for (const sign of pattern) {
    let any = 0;
    next.fill(0);
    for (let i = 0; i <= name.length; i++) {
      if (sign === '*') next[i] = reached[i]! | (i > 0 ? next[i - 1]! : 0);
      else if (sign === '%') next[i] = reached[i]! | (i > 0 && name[i - 1] !== DELIMITER ? next[i - 1]! : 0);
      else if (reached[i] === 1 && name.startsWith(sign, i)) next[i + sign.length] = 1;
      any |= reached[i]!;
    }
    if (any === 0) return false;
    [reached, next] = [next, reached];
  }
  return reached[name.length] === 1;
}
