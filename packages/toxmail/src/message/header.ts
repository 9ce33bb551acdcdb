/**
 * A mail's header section (RFC 5322 §2.2), edited without loss: bytes are carried as latin-1 characters, so that whatever
 * a mail program wrote (UTF-8 of RFC 6532, or worse) comes out as it went in.
 */
export interface HeaderField {
  /** As written. */
  readonly name: string;
  /** What follows the colon: folded lines joined by CRLF, without the last line end; latin-1. */
  readonly value: string;
}

/** `bytes` as HeaderCutter gives it. Lines that belong to no field are dropped. */
export function parseHeader(bytes: Uint8Array): HeaderField[] {
  const fields: HeaderField[] = [];
  let last: { name: string; value: string } | undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  for (let from = 0; from < text.length; ) {
    const lf = text.indexOf('\n', from);
    const end = lf < 0 ? text.length : lf > from && text[lf - 1] === '\r' ? lf - 1 : lf;
    const line = text.slice(from, end);
    from = lf < 0 ? text.length : lf + 1;
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (last && line.trim() !== '') last.value += `\r\n${line}`;
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trimEnd();
    // A name with blanks in it is no name: `From mum Thu Jan 1 12:00`, as mailbox files have it.
    last = name === '' || /\s/.test(name) ? undefined : { name, value: line.slice(colon + 1) };
    if (last) fields.push(last);
  }
  return fields;
}

/** With the empty line that ends it. */
export function formatHeader(fields: readonly HeaderField[]): Buffer {
  return Buffer.from(`${fields.map((f) => `${f.name}:${f.value}\r\n`).join('')}\r\n`, 'latin1');
}

/** A field from text, which must hold no line ends; anything beyond ASCII goes out as UTF-8 (RFC 6532). */
export function field(name: string, text: string): HeaderField {
  return { name, value: ` ${Buffer.from(text.replace(/[\r\n]+/g, ' '), 'utf8').toString('latin1')}` };
}

/** The first field of that name, whatever its case. */
export function findField(fields: readonly HeaderField[], name: string): HeaderField | undefined {
  return fields.find((f) => sameName(f.name, name));
}

export function sameName(a: string, b: string): boolean {
  return a.length === b.length && a.toLowerCase() === b.toLowerCase();
}

/** The field's value on one line, trimmed, as text. */
export function fieldText(found: HeaderField | undefined): string | undefined {
  return found && Buffer.from(found.value.replace(/\r\n/g, ''), 'latin1').toString('utf8').trim();
}
