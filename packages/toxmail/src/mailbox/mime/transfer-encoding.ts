/** Content-Transfer-Encoding (RFC 2045 §6), undone piece by piece. Takes anything; what is no code is left out. */
export interface Decoder {
  push(chunk: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

/** Undefined: not an encoding that we know. */
export function transferDecoder(encoding: string): Decoder | undefined {
  switch (encoding.trim().toLowerCase()) {
    case '':
    case '7bit':
    case '8bit':
    case 'binary':
      return { push: (chunk) => chunk, end: () => NONE };
    case 'base64':
      return new Base64Decoder();
    case 'quoted-printable':
      return new QuotedPrintableDecoder();
    default:
      return undefined;
  }
}

/** A whole content. */
export function decodeTransfer(bytes: Uint8Array, encoding: string): Uint8Array {
  const decoder = transferDecoder(encoding);
  if (!decoder) return bytes;
  const first = decoder.push(bytes);
  const last = decoder.end();
  return last.length === 0 ? first : Buffer.concat([first, last]);
}

const NONE = new Uint8Array(0);

class Base64Decoder implements Decoder {
  #rest = '';

  push(chunk: Uint8Array): Uint8Array {
    const text = this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
    const signs = text.replace(/[^A-Za-z0-9+/]+/g, '');
    const whole = signs.length - (signs.length % 4);
    this.#rest = signs.slice(whole);
    return Buffer.from(signs.slice(0, whole), 'base64');
  }

  end(): Uint8Array {
    return Buffer.from(this.#rest, 'base64');
  }
}

const CR = 0x0d;
const LF = 0x0a;
const EQUALS = 0x3d;

class QuotedPrintableDecoder implements Decoder {
  #rest = Buffer.alloc(0);

  push(chunk: Uint8Array): Uint8Array {
    const held = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    // Whole lines only, as what an `=` means shows at the end of its line; a line without end is cut before an `=`.
    let end = held.lastIndexOf(LF) + 1;
    if (end === 0 && held.length > LINE_MAX) end = held.length - 3;
    this.#rest = held.subarray(end);
    return decodeLines(held.subarray(0, end));
  }

  end(): Uint8Array {
    const out = decodeLines(this.#rest);
    this.#rest = Buffer.alloc(0);
    return out;
  }
}

/** RFC 2045 §6.7 allows 76; what is longer need not be held together. */
const LINE_MAX = 64 * 1024;

function decodeLines(text: Buffer): Uint8Array {
  if (text.indexOf(EQUALS) < 0) return text;
  const out = Buffer.allocUnsafe(text.length);
  let size = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i]!;
    if (byte !== EQUALS) {
      out[size++] = byte;
      continue;
    }
    const value = (hex(text[i + 1]) << 4) | hex(text[i + 2]);
    if (value >= 0) {
      out[size++] = value;
      i += 2;
      continue;
    }
    let next = i + 1;
    while (text[next] === 0x20 || text[next] === 0x09) next++;
    if (text[next] === CR && text[next + 1] === LF) i = next + 1;
    else if (text[next] === LF || next >= text.length) i = next;
    else out[size++] = byte; // not a code: left as it is
  }
  return out.subarray(0, size);
}

/** -1 is negative also in a sum of bits. */
function hex(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
