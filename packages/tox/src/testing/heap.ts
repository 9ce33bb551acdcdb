/**
 * A binary min-heap ordered by `at`, ties in the order of insertion. Times and order lie side by side, as
 * there may be many thousand items, and each comparison would fetch two from far memory.
 */
export class Heap<T extends { readonly at: number }> {
  readonly #items: T[] = [];
  #at = new Float64Array(64);
  #order = new Float64Array(64);
  #pushed = 0;

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    let i = this.#items.push(item) - 1;
    if (i === this.#at.length) {
      this.#at = twice(this.#at);
      this.#order = twice(this.#order);
    }
    const { at } = item;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#at[parent]! <= at) break; // an older one goes first
      this.#move(parent, i);
      i = parent;
    }
    this.#set(i, item, at, this.#pushed++);
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    const count = items.length;
    if (last === undefined || count === 0) return top;
    const at = this.#at[count]!;
    const order = this.#order[count]!;
    let i = 0;
    for (let child = 1; child < count; child = 2 * i + 1) {
      if (child + 1 < count && this.#before(child + 1, this.#at[child]!, this.#order[child]!)) child++;
      if (!this.#before(child, at, order)) break;
      this.#move(child, i);
      i = child;
    }
    this.#set(i, last, at, order);
    return top;
  }

  #before(i: number, at: number, order: number): boolean {
    return this.#at[i]! < at || (this.#at[i] === at && this.#order[i]! < order);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#items[from]!, this.#at[from]!, this.#order[from]!);
  }

  #set(i: number, item: T, at: number, order: number): void {
    this.#items[i] = item;
    this.#at[i] = at;
    this.#order[i] = order;
  }
}

function twice(old: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const more = new Float64Array(2 * old.length);
  more.set(old);
  return more;
}
