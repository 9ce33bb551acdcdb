export type { PipeLink } from './byte-pipe.ts';
export { Heap } from './heap.ts';
export { NAT_KINDS, NatBox, type NatKind, Nats } from './nat.ts';
export { noRelays } from './no-relays.ts';
export { seededRandom } from './random.ts';
export { TEST_EPOCH, testEnv } from './test-env.ts';
export { type Link, type Routers, World, type WorldEvent } from './world.ts';
