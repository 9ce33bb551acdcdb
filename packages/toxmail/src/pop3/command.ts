/** RFC 1939 §3: a keyword and arguments, each after one space. Keywords are case-insensitive. */
export interface Pop3Command {
  /** Upper case. */
  readonly keyword: string;
  /** All after the first space; PASS takes it whole, spaces included. */
  readonly rest: string;
  /** `rest` cut at spaces. */
  readonly args: readonly string[];
}

/** `line` without its end. Undefined if there is no keyword. Bytes beyond ASCII are taken as UTF-8 (RFC 6856). */
export function parseCommand(line: Uint8Array): Pop3Command | undefined {
  const text = new TextDecoder().decode(line);
  const match = /^([A-Za-z][A-Za-z0-9]{2,7})(?: (.*))?$/s.exec(text.trimEnd());
  if (!match) return undefined;
  const keyword = match[1]!.toUpperCase();
  // A password may end in a space.
  const rest = text.slice(match[1]!.length + 1);
  return { keyword, rest, args: rest.split(' ').filter((arg) => arg !== '') };
}

/** A message number or line count: decimal, nothing else. */
export function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
