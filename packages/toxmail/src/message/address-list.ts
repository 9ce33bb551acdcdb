/**
 * Finds the addresses in the value of an address field (RFC 5322 §3.4: mailboxes and groups, quoted strings, comments),
 * so that they can be replaced while names and comments stay as written. Takes anything, throws at nothing.
 */
export interface FoundMailbox {
  /** Range of the whole mailbox without blanks around it: `"Doe, J." <a@b>`. */
  readonly start: number;
  readonly end: number;
  /** Range of the bare address in it, without brackets. */
  readonly addressStart: number;
  readonly addressEnd: number;
  /** The address without blanks and comments; latin-1 as the value is. */
  readonly address: string;
}

export function findMailboxes(value: string): FoundMailbox[] {
  const found: FoundMailbox[] = [];
  let start = 0;
  let angle: { start: number; end: number } | undefined;
  const finish = (end: number): void => {
    const mailbox = mailboxIn(value, start, end, angle);
    if (mailbox) found.push(mailbox);
    angle = undefined;
    start = end + 1;
  };
  for (let i = 0; i < value.length; i++) {
    switch (value[i]) {
      case '"':
        i = endOfQuoted(value, i);
        break;
      case '(':
        i = endOfComment(value, i);
        break;
      case '<': {
        const end = endOfAngle(value, i);
        angle = { start: i + 1, end };
        i = end;
        break;
      }
      case ',':
      case ';':
        finish(i);
        break;
      case ':': // the name of a group ends here
        angle = undefined;
        start = i + 1;
        break;
    }
  }
  finish(value.length);
  return found;
}

/**
 * The value with each mailbox replaced by what `replace` gives for it (undefined: left as it is). Where the lines grow
 * past the 78 characters of RFC 5322 §2.1.1, they are folded between mailboxes.
 */
export function replaceMailboxes(
  value: string,
  replace: (mailbox: FoundMailbox, text: string) => string | undefined,
): string {
  const out: string[] = [];
  let from = 0;
  let line = 0; // length of the last one
  const add = (text: string): void => {
    const lf = text.lastIndexOf('\n');
    line = lf < 0 ? line + text.length : text.length - lf - 1;
    out.push(text);
  };
  for (const mailbox of findMailboxes(value)) {
    const text = value.slice(mailbox.start, mailbox.end);
    const gap = value.slice(from, mailbox.start);
    const fresh = replace(mailbox, text) ?? text;
    const fold = from > 0 && !gap.includes('\n') && line + gap.length + fresh.length > FOLD_AT;
    add(fold ? `${gap.trimEnd()}\r\n ${fresh}` : gap + fresh);
    from = mailbox.end;
  }
  add(value.slice(from));
  return out.join('');
}

const FOLD_AT = 78;

function mailboxIn(
  value: string,
  from: number,
  to: number,
  angle: { start: number; end: number } | undefined,
): FoundMailbox | undefined {
  const start = from + leading(value.slice(from, to));
  const end = from + value.slice(from, to).trimEnd().length;
  if (end <= start) return undefined;
  let { start: addressStart, end: addressEnd } = angle ?? withoutComments(value, start, end);
  if (angle) {
    // RFC 5322 §4.4: an old source route `@a,@b:` before the address.
    const route = /^\s*@[^:<>]*:/.exec(value.slice(addressStart, addressEnd));
    if (route) addressStart += route[0].length;
  }
  addressEnd = Math.min(end, addressEnd); // an angle that never closes reaches beyond the blanks at the end
  addressStart = Math.min(addressStart, addressEnd);
  const address = withoutBlanks(value.slice(addressStart, addressEnd));
  return address.includes('@') ? { start, end, addressStart, addressEnd, address } : undefined;
}

/** Comments before and after a bare address are left out: they are the old way to write the name. */
function withoutComments(value: string, start: number, end: number): { start: number; end: number } {
  let first = -1;
  let last = start;
  for (let i = start; i < end; i++) {
    if (value[i] === '(') i = endOfComment(value, i);
    else if (!/\s/.test(value.charAt(i))) {
      if (first < 0) first = i;
      if (value[i] === '"') i = endOfQuoted(value, i);
      last = i;
    }
  }
  return first < 0 ? { start, end } : { start: first, end: Math.min(end, last + 1) };
}

function leading(text: string): number {
  return text.length - text.trimStart().length;
}

/** Blanks and comments may stand between the parts of an address (RFC 5322 §3.2.2); inside quotes they count. */
function withoutBlanks(text: string): string {
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const sign = text.charAt(i);
    if (sign === '"') {
      const end = endOfQuoted(text, i);
      out += text.slice(i, end + 1);
      i = end;
    } else if (sign === '(') i = endOfComment(text, i);
    else if (!/\s/.test(sign)) out += sign;
  }
  return out;
}

/** Index of the closing sign, or of the last character if there is none; the same below. */
function endOfQuoted(text: string, open: number): number {
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
  return text.length - 1;
}

function endOfComment(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return text.length - 1;
}

function endOfAngle(text: string, open: number): number {
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === '"') i = endOfQuoted(text, i);
    else if (text[i] === '>') return i;
  }
  return text.length;
}
