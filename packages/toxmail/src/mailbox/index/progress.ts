/** Bytes of a path that are kept; Linux has no longer ones. */
const PATH_MAX = 4_096;
const NUMBERS = 3;

/** What the index's thread is at, in memory that both threads see: it can be read when the other one is dead. */
export class Progress {
  readonly memory: SharedArrayBuffer;
  /** Messages begun, messages done, bytes of the path. */
  readonly #numbers: Int32Array;
  readonly #path: Uint8Array;

  /** `memory`: of the other side. */
  constructor(memory = new SharedArrayBuffer(NUMBERS * 4 + PATH_MAX)) {
    this.memory = memory;
    this.#numbers = new Int32Array(memory, 0, NUMBERS);
    this.#path = new Uint8Array(memory, NUMBERS * 4);
  }

  begin(): void {
    this.#numbers[0]!++;
  }

  end(): void {
    this.#numbers[1]!++;
  }

  /** The mail whose file is being read; undefined: none. */
  reading(path: string | undefined): void {
    this.#numbers[2] = path === undefined ? 0 : encoder.encodeInto(path, this.#path).written;
  }

  /** Messages that were worked on to their end. */
  get done(): number {
    return this.#numbers[1]!;
  }

  /** True while a message is worked on. */
  get inMessage(): boolean {
    return this.#numbers[0]! > this.done;
  }

  get path(): string | undefined {
    const size = this.#numbers[2]!;
    return size === 0 ? undefined : Buffer.from(this.#path.slice(0, size)).toString();
  }
}

const encoder = new TextEncoder();
