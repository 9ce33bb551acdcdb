/** Lets one piece of work run at a time, in the order of asking. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  get busy(): boolean {
    return this.#waiting > 0;
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const mine = this.#last.then(work);
    this.#last = mine.then(
      () => this.#waiting--,
      () => this.#waiting--,
    );
    return mine;
  }
}
