/**
 * Modified UTF-7 (RFC 3501 §5.1.3), in which Maildir++ programs write the names of folders: printable ASCII stands for
 * itself, `&-` for `&`, anything else is UTF-16BE in base64 with `,` for `/`, between `&` and `-`.
 */
export function encodeModifiedUtf7(text: string): string {
  return text.replace(/&|[^\x20-\x7e]+/g, (run) => (run === '&' ? '&-' : shifted(run)));
}

/** Undefined if it is not modified UTF-7. Printable ASCII may be shifted, too. */
export function decodeModifiedUtf7(text: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(text)) return undefined;
  let bad = false;
  const out = text.replace(/&([^-]*)(-?)/g, (_, base64: string, end: string) => {
    const decoded = base64 === '' && end === '-' ? '&' : unshifted(base64);
    if (end === '' || decoded === undefined) bad = true;
    return decoded ?? '';
  });
  return bad ? undefined : out;
}

/** As `encodeModifiedUtf7` writes signs that cannot stand for themselves. */
export function shifted(text: string): string {
  const base64 = Buffer.from(text, 'utf16le').swap16().toString('base64');
  return `&${base64.replace(/=+$/, '').replaceAll('/', ',')}-`;
}

function unshifted(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+,]+$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64.replaceAll(',', '/'), 'base64');
  if (bytes.length === 0 || bytes.length % 2 !== 0) return undefined;
  const text = bytes.swap16().toString('utf16le');
  return text.isWellFormed() ? text : undefined;
}
