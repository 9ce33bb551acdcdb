/** Why a proxy did not connect us. */
export type ProxyFailure =
  | 'not-a-proxy' // what answers does not speak the protocol
  | 'credentials' // missing or refused
  | 'forbidden' // by the proxy's rules
  | 'unreachable'; // the proxy tried and could not

export interface ProxyCredentials {
  /** 1..255 bytes of UTF-8, both. */
  readonly user: string;
  readonly password: string;
}

/** What is to be done after some bytes of the proxy. */
export type ProxyStep =
  | { readonly type: 'wait' }
  | { readonly type: 'send'; readonly data: Uint8Array }
  /** From here on the bytes are the target's: `rest` are the first of them, a copy. */
  | { readonly type: 'connected'; readonly rest: Uint8Array }
  | { readonly type: 'failed'; readonly reason: ProxyFailure };

/** The talk with a proxy at the beginning of a stream; knows no socket. Keeps no more bytes than its protocol needs. */
export interface ProxyHandshake {
  /** What to send first. */
  readonly hello: Uint8Array;
  /** The next bytes, split anyhow. After `connected` or `failed` it is done. */
  receive(bytes: Uint8Array): ProxyStep;
}

export const WAIT: ProxyStep = { type: 'wait' };

export function failed(reason: ProxyFailure): ProxyStep {
  return { type: 'failed', reason };
}

export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
