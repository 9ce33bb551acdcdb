const LF = 0x0a;
const CR = 0x0d;
/** An empty buffer above this is given back: idle sessions keep nothing. */
const KEPT_BYTES = 4 * 1024;

/** The client has closed its side, or the session has ended. */
export const ENDED = Symbol('ended');

/**
 * Bytes of the client that nobody has taken yet, taken in lines and pieces. Copies are handed out, so that a reader may
 * keep them. Bounded by its user, who stops the connection when `size` grows and nobody waits (`onRoom`).
 */
export class Input {
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** Up to here, from `#start`, there is no line end: a slow line is searched once. */
  #scanned = 0;
  #ended = false;
  #wake: (() => void) | undefined;
  readonly #onRoom: () => void;

  /** `onRoom` is called when bytes were taken, and when a reader waits for more than there is. */
  constructor(onRoom: () => void = () => {}) {
    this.#onRoom = onRoom;
  }

  /** Octets that wait. */
  get size(): number {
    return this.#end - this.#start;
  }

  /** True: a reader waits for more than there is. */
  get waiting(): boolean {
    return this.#wake !== undefined;
  }

  receive(data: Uint8Array): void {
    if (this.#ended) return;
    this.#makeRoom(data.length);
    this.#buffer.set(data, this.#end);
    this.#end += data.length;
    this.#wakeUp();
  }

  /** No more will come. What waits can still be taken. */
  end(): void {
    this.#ended = true;
    this.#wakeUp();
  }

  /** Throws away what waits. */
  clear(): void {
    this.#take(this.size);
  }

  /** A line without its CRLF (a lone LF is borne). Undefined if it is longer than `max` octets: nothing is taken then. */
  async line(max: number): Promise<Buffer | undefined | typeof ENDED> {
    for (;;) {
      const lf = this.#buffer.subarray(this.#start + this.#scanned, this.#end).indexOf(LF);
      if (lf >= 0) {
        const length = this.#scanned + lf;
        if (length > max) return undefined;
        const last = length > 0 && this.#buffer[this.#start + length - 1] === CR ? length - 1 : length;
        const line = Buffer.from(this.#buffer.subarray(this.#start, this.#start + last));
        this.#take(length + 1);
        return line;
      }
      this.#scanned = this.size;
      if (this.#scanned > max) return undefined;
      if (this.#ended) return ENDED;
      await this.#more();
    }
  }

  /** What is there, at least one octet and at most `max`. */
  async some(max: number): Promise<Buffer | typeof ENDED> {
    while (this.size === 0) {
      if (this.#ended) return ENDED;
      await this.#more();
    }
    const size = Math.min(max, this.size);
    const bytes = Buffer.from(this.#buffer.subarray(this.#start, this.#start + size));
    this.#take(size);
    return bytes;
  }

  /** Exactly `size` octets, which the caller has found to be few. */
  async exactly(size: number): Promise<Buffer | typeof ENDED> {
    const pieces: Buffer[] = [];
    for (let left = size; left > 0; ) {
      const piece = await this.some(left);
      if (piece === ENDED) return ENDED;
      pieces.push(piece);
      left -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#onRoom();
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #take(size: number): void {
    this.#start += size;
    this.#scanned = 0;
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
      if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.alloc(0);
    }
    this.#onRoom();
  }

  #makeRoom(size: number): void {
    if (this.#end + size <= this.#buffer.length) return;
    const needed = this.size + size;
    const roomier = needed > this.#buffer.length / 2 ? Buffer.allocUnsafe(needed * 2) : this.#buffer;
    this.#buffer.copy(roomier, 0, this.#start, this.#end);
    this.#buffer = roomier;
    this.#end -= this.#start;
    this.#start = 0;
  }
}
