/** Places of what was shifted are given back once there are so many, and they are half of all. */
const COMPACT_AT = 1_024;

/** First in, first out, in constant time on average; keeps room for what is in it, and for some more. */
export class Fifo<T> {
  #items: T[] = [];
  #head = 0;
  #end = 0;

  get size(): number {
    return this.#end - this.#head;
  }

  /** The next to be shifted. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items[this.#end++] = item;
  }

  shift(): T | undefined {
    if (this.#head === this.#end) return undefined;
    const item = this.#items[this.#head]!;
    this.#items[this.#head++] = undefined as T;
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#end) {
      this.#items = this.#items.slice(this.#head, this.#end);
      this.#end -= this.#head;
      this.#head = 0;
    } else if (this.#head === this.#end) {
      this.#head = 0;
      this.#end = 0;
    }
    return item;
  }
}
