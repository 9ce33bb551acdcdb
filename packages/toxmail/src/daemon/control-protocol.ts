/**
 * The control socket speaks lines of JSON: one request per line, one answer per request, in order. Only the user who
 * runs the daemon can connect (mode 0600), yet what comes is checked like any other input.
 */
export interface ControlRequest {
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>>;
}

export type ControlAnswer = { readonly result: unknown } | { readonly error: string };

/** A request holds a few names and addresses. */
export const REQUEST_MAX_BYTES = 64 * 1024;
/** An answer may list a long queue. */
export const ANSWER_MAX_BYTES = 64 * 1024 * 1024;

/** Undefined for anything but a request. */
export function parseRequest(line: string): ControlRequest | undefined {
  const value = parseObject(line);
  if (typeof value?.command !== 'string') return undefined;
  const args = value.args ?? {};
  if (typeof args !== 'object' || args === null || Array.isArray(args)) return undefined;
  return { command: value.command, args: args as Record<string, unknown> };
}

export function parseAnswer(line: string): ControlAnswer | undefined {
  const value = parseObject(line);
  if (!value) return undefined;
  if (typeof value.error === 'string') return { error: value.error };
  return 'result' in value ? { result: value.result } : undefined;
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Cuts a byte stream into lines; gives up (returns false) on a line longer than `max` bytes. */
export class LineSplitter {
  #parts: Buffer[] = [];
  #size = 0;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  push(chunk: Buffer, onLine: (line: string) => void): boolean {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      if (!this.#keep(chunk.subarray(start, end))) return false;
      const line = Buffer.concat(this.#parts).toString();
      this.#parts = [];
      this.#size = 0;
      start = end + 1;
      onLine(line);
    }
    return this.#keep(chunk.subarray(start));
  }

  #keep(part: Buffer): boolean {
    this.#size += part.length;
    if (this.#size > this.#max) return false;
    if (part.length > 0) this.#parts.push(part);
    return true;
  }
}
