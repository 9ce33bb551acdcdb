export type { PipeLink } from './byte-pipe.ts';
export { Heap } from './heap.ts';
export { seededRandom } from './random.ts';
export { TEST_EPOCH, testEnv } from './test-env.ts';
export { type Link, World, type WorldEvent } from './world.ts';
