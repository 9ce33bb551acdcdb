export type { Env, Mono } from './core/env.ts';
export { ToxError, type ToxErrorKind } from './core/errors.ts';
export type { Datagram, Machine } from './core/machine.ts';
export { Guest, type GuestOptions } from './guest.ts';
export type { FileNumber, ToxConnection, ToxEvent, UserStatus } from './messenger/events.ts';
export type { FileOffer } from './messenger/file-transfer.ts';
export {
  formatToxId,
  formatToxIdBase32,
  parseToxId,
  parseToxIdBase32,
  type ToxId,
  type ToxIdFailure,
  type ToxIdResult,
} from './messenger/tox-id.ts';
export { GuestNode } from './node/guest-node.ts';
export { hasNetwork } from './node/interfaces.ts';
export {
  type BootstrapNode,
  type Friend,
  type PublicKeyHex,
  type RelayNode,
  type RelayOptions,
  ToxNode,
  type ToxNodeEvents,
  type ToxNodeOptions,
} from './node/tox-node.ts';
export type { UdpOptions } from './node/udp.ts';
export { isProxyUrl } from './relay/proxy.ts';
export type { RelayLimits, RelayStats } from './relay/server.ts';
export { Tox, type ToxOptions } from './tox.ts';
export { type Endpoint, endpoint } from './wire/endpoint.ts';
export type { NodeInfo } from './wire/packed-node.ts';
