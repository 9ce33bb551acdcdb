/**
 * Address fields as ENVELOPE gives them (RFC 9051 §7.5.2, RFC 5322 §3.4). Takes anything: what cannot be understood
 * becomes a mailbox without host, as other servers do. Values are latin-1 of the mail's bytes, unfolded.
 */
export interface Address {
  /** As written, quotes undone, encoded words left. Undefined if there is none. */
  readonly name: string | undefined;
  /** Undefined: the end of a group. */
  readonly mailbox: string | undefined;
  /** Undefined: `mailbox` is the name of a group that begins, or ends. */
  readonly host: string | undefined;
}

/** Of one field; what is beyond is left out. */
const ADDRESSES_MAX = 2_000;

export function parseAddresses(value: string): Address[] {
  const found: Address[] = [];
  let words: Word[] = [];
  let angle: Word[] | undefined;
  let inAngle = false;
  let comment = '';
  let inGroup = false;
  const finish = (): void => {
    const address = toAddress(words, angle, comment);
    if (address) found.push(address);
    words = [];
    angle = undefined;
    inAngle = false;
    comment = '';
  };
  for (const word of tokens(value)) {
    if (found.length >= ADDRESSES_MAX) break;
    if (word.kind === 'comment') comment = comment === '' ? word.text : `${comment} ${word.text}`;
    else if (word.kind !== 'special') (inAngle ? angle! : words).push(word);
    else if (word.text === '<') {
      angle = [];
      inAngle = true;
    } else if (word.text === '>') inAngle = false;
    else if (word.text === ',' && !(inAngle && isRoute(angle!))) finish();
    else if (word.text === ':' && !inAngle && !inGroup) {
      found.push({ name: undefined, mailbox: joined(words), host: undefined });
      words = [];
      comment = '';
      inGroup = true;
    } else if (word.text === ';' && inGroup) {
      finish();
      found.push({ name: undefined, mailbox: undefined, host: undefined });
      inGroup = false;
    } else if (word.text === ';') finish();
    else if (inAngle) angle!.push(word);
    else words.push(word);
  }
  finish();
  if (inGroup) found.push({ name: undefined, mailbox: undefined, host: undefined });
  return found;
}

interface Word {
  readonly kind: 'atom' | 'quoted' | 'comment' | 'special';
  readonly text: string;
  /** White space before it. */
  readonly spaced: boolean;
}

function toAddress(words: readonly Word[], angle: readonly Word[] | undefined, comment: string): Address | undefined {
  if (!angle) {
    if (words.length === 0) return undefined;
    const { mailbox, host } = spec(words);
    // The old way: the name in a comment. Words without an `@` are a name that lacks its address.
    return { name: comment === '' ? undefined : comment, mailbox, host };
  }
  const name = joined(words) || comment;
  const { mailbox, host } = spec(angle);
  if (mailbox === '' && host === '' && name === '') return undefined;
  return { name: name === '' ? undefined : name, mailbox, host };
}

/** `local@domain`; RFC 5322 §4.4: a source route `@a,@b:` before it goes. */
function spec(words: readonly Word[]): { mailbox: string; host: string } {
  const colon = words.findIndex(({ kind, text }) => kind === 'special' && text === ':');
  const rest = isRoute(words) && colon >= 0 ? words.slice(colon + 1) : words;
  const at = rest.findLastIndex(({ kind, text }) => kind === 'special' && text === '@');
  if (at < 0) return { mailbox: joined(rest), host: '' };
  const text = (part: readonly Word[]): string => part.map((word) => word.text).join('');
  return { mailbox: text(rest.slice(0, at)), host: text(rest.slice(at + 1)) };
}

function isRoute(words: readonly Word[]): boolean {
  return words[0]?.kind === 'special' && words[0].text === '@';
}

function joined(words: readonly Word[]): string {
  return words.map(({ text, spaced }, i) => (i > 0 && spaced ? ` ${text}` : text)).join('');
}

function* tokens(value: string): Generator<Word> {
  let spaced = false;
  for (let i = 0; i < value.length; ) {
    const sign = value[i]!;
    if (sign === ' ' || sign === '\t' || sign === '\r' || sign === '\n') {
      spaced = true;
      i++;
      continue;
    }
    let end = i + 1;
    if (sign === '"') {
      const { text, next } = enclosed(value, i, '"');
      yield { kind: 'quoted', text, spaced };
      end = next;
    } else if (sign === '(') {
      const { text, next } = comment(value, i);
      yield { kind: 'comment', text, spaced };
      end = next;
    } else if (sign === '[') {
      const close = value.indexOf(']', i);
      end = close < 0 ? value.length : close + 1;
      yield { kind: 'atom', text: value.slice(i, end), spaced };
    } else if ('<>,:;@'.includes(sign)) yield { kind: 'special', text: sign, spaced };
    else {
      while (end < value.length && !' \t\r\n"()<>,:;@['.includes(value[end]!)) end++;
      yield { kind: 'atom', text: value.slice(i, end), spaced };
    }
    i = end;
    spaced = false;
  }
}

function enclosed(value: string, from: number, close: string): { text: string; next: number } {
  let text = '';
  let i = from + 1;
  for (; i < value.length && value[i] !== close; i++) {
    if (value[i] === '\\' && i + 1 < value.length) i++;
    text += value[i];
  }
  return { text, next: i + 1 };
}

/** Nested comments stay as they are in the text. */
function comment(value: string, from: number): { text: string; next: number } {
  let depth = 0;
  let text = '';
  let i = from;
  for (; i < value.length; i++) {
    const sign = value[i]!;
    if (sign === '\\' && i + 1 < value.length) text += value[++i];
    else if (sign === ')' && --depth === 0) break;
    else if (sign !== '(' || ++depth > 1) text += sign;
  }
  return { text: text.trim(), next: i + 1 };
}
