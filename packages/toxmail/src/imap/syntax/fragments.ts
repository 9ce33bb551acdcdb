import { ENDED, type Input } from './input.ts';

/**
 * RFC 9051 §4.3, RFC 7888, RFC 4466 (literal8):
 * `literal = ["~"] "{" number64 ["+" / "-"] "}" CRLF *CHAR8`, announced at the end of a line.
 */
export interface LiteralStart {
  readonly size: number;
  /** The client waits for our word before it sends the octets. */
  readonly waits: boolean;
}

/** A command is cut out before it is parsed, so that a bad one never lets its literals run as commands. */
export type Fragment =
  /** The whole command, without its last CRLF; literals stand in it as they came. */
  | { readonly kind: 'command'; readonly bytes: Buffer }
  /** The beginning of a command up to a literal that its user takes as it comes. */
  | { readonly kind: 'stream'; readonly bytes: Buffer; readonly literal: LiteralStart }
  /** Over the limit. The command is eaten if `boundaryKept`; else nothing that follows can be understood. */
  | { readonly kind: 'too-big'; readonly head: Buffer; readonly boundaryKept: boolean }
  | { readonly kind: 'ended' };

export interface FragmentRules {
  /** Octets of the lines and literals of one command. */
  readonly max: number;
  /** Octets of refused literals that are read and thrown away. */
  readonly discardMax: number;
  /** True: the literal that ends `head` is to be streamed (APPEND). */
  streams(head: Buffer): boolean;
  /** Tells the client to go on with a literal. */
  goOn(): Promise<void>;
}

/** Takes the next command from the client's bytes. */
export async function nextFragment(input: Input, rules: FragmentRules, begun?: Buffer): Promise<Fragment> {
  const parts: Buffer[] = begun ? [begun] : [];
  let size = begun?.length ?? 0;
  for (let literals = 0; ; literals++) {
    const line = await input.line(rules.max - size);
    if (line === ENDED) return { kind: 'ended' };
    if (line === undefined) return { kind: 'too-big', head: Buffer.concat(parts), boundaryKept: false };
    parts.push(line);
    size += line.length + 2;
    const literal = literalAtEnd(line);
    if (!literal) return { kind: 'command', bytes: Buffer.concat(parts) };
    const head = Buffer.concat(parts);
    if (rules.streams(head)) return { kind: 'stream', bytes: head, literal };
    if (size + literal.size > rules.max || literals === LITERALS_MAX) {
      const boundaryKept = literal.waits || (await discard(input, rules, literal.size));
      return { kind: 'too-big', head, boundaryKept };
    }
    if (literal.waits) await rules.goOn();
    const octets = await input.exactly(literal.size);
    if (octets === ENDED) return { kind: 'ended' };
    parts.length = 0;
    parts.push(head, CRLF, octets);
    size += literal.size;
  }
}

/** Throws away a literal and what follows of its command. False if that is too much. */
export async function discard(input: Input, rules: FragmentRules, literalSize: number): Promise<boolean> {
  let allowed = rules.discardMax;
  let size = literalSize;
  for (;;) {
    allowed -= size;
    if (allowed < 0) return false;
    for (let left = size; left > 0; ) {
      const piece = await input.some(left);
      if (piece === ENDED) return false;
      left -= piece.length;
    }
    const line = await input.line(rules.max);
    if (line === undefined || line === ENDED) return false;
    const next = literalAtEnd(line);
    // A client that waits is told BAD instead of "go on", and sends no more of it.
    if (!next || next.waits) return true;
    size = next.size;
  }
}

/** What a line announces at its end. A size beyond 2^53 is none that we could count. */
export function literalAtEnd(line: Buffer): LiteralStart | undefined {
  if (line[line.length - 1] !== CLOSE) return undefined;
  const match = /\{(\d{1,15})([+-]?)\}$/.exec(line.toString('latin1', Math.max(0, line.length - LONGEST)));
  return match ? { size: Number(match[1]), waits: match[2] === '' } : undefined;
}

const CRLF = Buffer.from('\r\n');
const CLOSE = 0x7d;
/** Literals in one command: each costs a look at all that came before it. */
const LITERALS_MAX = 250;
/** `{` 15 digits `+` `}`. */
const LONGEST = 18;
