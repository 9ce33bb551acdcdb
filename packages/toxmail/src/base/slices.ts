/** All work on many mails together lets other work of the process in after this time. */
const SLICE_MS = 5;

/** When the present turn of the event loop has had enough of such work; undefined: none was begun in it. */
let until: number | undefined;
/** Those that pause: they go on one by one, each in a turn of its own. BOUNDED by the commands under way. */
const paused: (() => void)[] = [];

/** For long loops: asks often whether the slice is `over`, and pauses then while others have their turn. */
export class Slices {
  #calls = 0;
  readonly #every: number;

  /** `every`: calls of `over` for each look at the clock; 1 if what is done in between may wait for the disk. */
  constructor(every = 64) {
    this.#every = every;
    sliceEnd();
  }

  /** True when it is time to `await pause()`. */
  get over(): boolean {
    return ++this.#calls % this.#every === 0 && performance.now() >= sliceEnd();
  }

  pause(): Promise<void> {
    return new Promise((resolve) => {
      if (paused.push(resolve) === 1) setImmediate(next);
    });
  }
}

function sliceEnd(): number {
  if (until === undefined) {
    until = performance.now() + SLICE_MS;
    setImmediate(() => {
      until = undefined;
    });
  }
  return until;
}

/** However many have paused, what came from outside meanwhile waits for one slice only. */
function next(): void {
  const go = paused.shift();
  if (paused.length > 0) setImmediate(next);
  until = undefined;
  go?.();
}
