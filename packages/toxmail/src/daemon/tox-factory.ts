import type { ToxFactory } from './tox-peer.ts';

/** Nodes of @toxmail/tox. */
export const toxFactory: ToxFactory = {
  newProfile() {
    throw new Error('not built yet');
  },
  toxIdOf() {
    throw new Error('not built yet');
  },
  start() {
    throw new Error('not built yet');
  },
};
