/** What the mail transfer needs of a Tox node. A peer is its public key, 64 upper-case hexadecimal digits. */
export interface Link {
  /** Takes one custom lossless packet; the array may be kept. False: no room (`writable` follows) or not online. */
  send(peer: string, packet: Uint8Array): boolean;
  /** Set once by the one who uses the link. */
  handlers: LinkHandlers;
}

export interface LinkHandlers {
  online(peer: string): void;
  offline(peer: string): void;
  /** `data` may be a view that is only valid during the call. */
  packet(peer: string, data: Uint8Array): void;
  /** There is room again after a refused `send`. */
  writable(peer: string): void;
}

export const noHandlers: LinkHandlers = { online() {}, offline() {}, packet() {}, writable() {} };
