import { setImmediate as immediate } from 'node:timers/promises';

/** Work on many mails lets other work of the process in after this time. */
const SLICE_MS = 5;

/** For long loops: asks often whether the slice is `over`, and pauses for a turn of the event loop then. */
export class Slices {
  #until = performance.now() + SLICE_MS;
  #calls = 0;

  /** True when it is time to `await pause()`. Cheap: looks at the clock at each 64th call only. */
  get over(): boolean {
    return ++this.#calls % 64 === 0 && performance.now() >= this.#until;
  }

  async pause(): Promise<void> {
    await immediate();
    this.#until = performance.now() + SLICE_MS;
  }
}
