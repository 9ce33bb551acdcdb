/** Where the mail side gets its time from: injected everywhere, so that tests run in virtual time. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. For waiting and measuring. */
  mono(): number;
  /** Calendar time, milliseconds since 1970; may jump. For what people read and what must survive a restart. */
  unixMs(): number;
}

export type Cancel = () => void;

export interface Scheduler extends Clock {
  /** Calls `fn` once, when `mono()` has reached `monoMs` (at once, but never synchronously, if it has already). */
  at(monoMs: number, fn: () => void): Cancel;
}

/** setTimeout takes a signed 32-bit number of milliseconds; longer waits are cut into pieces of this size. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** The real one. Its timers never keep the process alive. */
export const systemScheduler: Scheduler = {
  mono: () => performance.now(),
  unixMs: () => Date.now(),
  at(monoMs, fn) {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const wait = monoMs - performance.now();
      timer = setTimeout(wait > LONGEST_TIMEOUT_MS ? arm : fn, Math.max(0, Math.min(wait, LONGEST_TIMEOUT_MS)));
      timer.unref();
    };
    arm();
    return () => clearTimeout(timer);
  },
};
