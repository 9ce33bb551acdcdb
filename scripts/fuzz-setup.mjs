/** Loaded before each test file by `npm run fuzz`: property tests go on for FUZZ_SECONDS each, with a fresh seed. */
import fc from 'fast-check';

const seconds = Number(process.env.FUZZ_SECONDS ?? 10);
fc.configureGlobal({
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: seconds * 1000,
  markInterruptAsFailure: false,
});
