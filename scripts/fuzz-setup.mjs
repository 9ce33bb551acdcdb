/**
 * Loaded before each file by `npm run fuzz`: every property goes on for TOXMAIL_FUZZ_SECONDS (60), with a fresh seed or
 * TOXMAIL_FUZZ_SEED.
 */
import fc from 'fast-check';

const seconds = Number(process.env.TOXMAIL_FUZZ_SECONDS ?? 60);
const seed = Number(process.env.TOXMAIL_FUZZ_SEED ?? Date.now() % 2 ** 31);
console.log(`TOXMAIL_FUZZ_SEED=${seed}, ${seconds} s for each property`);
fc.configureGlobal({
  seed,
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: seconds * 1000,
  markInterruptAsFailure: false,
});
