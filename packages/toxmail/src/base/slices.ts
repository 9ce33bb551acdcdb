import { setImmediate as immediate } from 'node:timers/promises';

/** Work on many mails lets other work of the process in after this time. */
const SLICE_MS = 5;

/** For long loops: asks often whether the slice is `over`, and pauses for a turn of the event loop then. */
export class Slices {
  #until = performance.now() + SLICE_MS;
  #calls = 0;
  readonly #every: number;

  /** `every`: calls of `over` for each look at the clock; 1 if what is done in between may wait for the disk. */
  constructor(every = 64) {
    this.#every = every;
  }

  /** True when it is time to `await pause()`. */
  get over(): boolean {
    return ++this.#calls % this.#every === 0 && performance.now() >= this.#until;
  }

  async pause(): Promise<void> {
    await immediate();
    this.#until = performance.now() + SLICE_MS;
  }
}
