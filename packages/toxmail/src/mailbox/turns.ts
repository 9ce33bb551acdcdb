import { setImmediate as immediate } from 'node:timers/promises';

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

/** Work on many mails lets other work of the process in after this time. */
const SLICE_MS = 5;

/** Call it often in a long loop: it pauses for a turn of the event loop when the slice is used up. */
export class Slices {
  #until = performance.now() + SLICE_MS;
  #calls = 0;

  /** Cheap: looks at the clock at each 64th call only. */
  async next(): Promise<void> {
    if (++this.#calls % 64 !== 0 || performance.now() < this.#until) return;
    await immediate();
    this.#until = performance.now() + SLICE_MS;
  }

  /** For loops too hot for a promise each: true when it is time to `await pause()`. */
  get over(): boolean {
    return ++this.#calls % 64 === 0 && performance.now() >= this.#until;
  }

  async pause(): Promise<void> {
    await immediate();
    this.#until = performance.now() + SLICE_MS;
  }
}
