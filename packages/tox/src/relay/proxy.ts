import type { Env, Mono } from '../core/env.ts';
import type { HostPort } from '../core/machine.ts';
import type { Stream, StreamHandler, Streams } from '../core/streams.ts';
import { type Endpoint, hostPort } from '../wire/endpoint.ts';
import { HttpConnectHandshake } from './http-connect.ts';
import type { ProxyCredentials, ProxyHandshake } from './proxy-handshake.ts';
import { Socks5Handshake } from './socks5.ts';

/** A proxy that opens streams for us. */
export interface StreamProxy {
  readonly type: 'socks5' | 'http';
  readonly endpoint: Endpoint;
  readonly credentials?: ProxyCredentials | undefined;
}

/** A proxy as people write it: its host may be a name. */
export interface ProxyAddress {
  readonly type: StreamProxy['type'];
  readonly host: string;
  readonly port: number;
  readonly credentials?: ProxyCredentials | undefined;
}

/** `socks5://[user:password@]host:port` or `http://…`; undefined for anything else. */
export function parseProxy(text: string): ProxyAddress | undefined {
  const match =
    /^(socks5|http):\/\/(?:([^:@/]{1,765}):([^:@/]{1,765})@)?(\[[0-9a-fA-F:.]+\]|[^:@/[\]]+):(\d{1,5})\/?$/.exec(text);
  if (!match) return undefined;
  const [, type, user, password, bracketed, digits] = match;
  const host = bracketed!.replace(/[[\]]/g, '');
  const port = Number(digits);
  const place = hostPort(host, port);
  if (!place || (bracketed!.startsWith('[') && !place.startsWith('['))) return undefined;
  const address = { type: type as StreamProxy['type'], host, port };
  if (user === undefined || password === undefined) return address;
  const credentials = { user: decoded(user), password: decoded(password) };
  if (!isCredential(credentials.user) || !isCredential(credentials.password)) return undefined;
  if (type === 'http' && credentials.user.includes(':')) return undefined; // RFC 7617 §2
  return { ...address, credentials };
}

/** Whether `parseProxy` reads it. */
export function isProxyUrl(text: string): boolean {
  return parseProxy(text) !== undefined;
}

/** RFC 3986 §2.1; empty for a wrong escape. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** RFC 1929 §2: 1 to 255 bytes. */
function isCredential(text: string): boolean {
  const size = new TextEncoder().encode(text).length;
  return size >= 1 && size <= 255;
}

/**
 * As `Streams.open`, by way of a proxy, which also resolves a host name: `opened` is told when the proxy
 * has connected us. How long that may take is the owner's to say.
 */
export function openThroughProxy(
  env: Env,
  streams: Streams,
  proxy: StreamProxy,
  to: Endpoint | HostPort,
  handler: StreamHandler,
): Stream {
  const opening = new ProxiedStream(env, proxy, to, handler);
  opening.stream = streams.open(proxy.endpoint, opening);
  return opening.stream;
}

/** Talks to the proxy, then passes everything on. */
class ProxiedStream implements StreamHandler {
  stream: Stream | undefined;
  readonly #env: Env;
  readonly #handler: StreamHandler;
  #handshake: ProxyHandshake | undefined;

  constructor(env: Env, proxy: StreamProxy, to: Endpoint | HostPort, handler: StreamHandler) {
    this.#env = env;
    this.#handler = handler;
    const Handshake = proxy.type === 'socks5' ? Socks5Handshake : HttpConnectHandshake;
    this.#handshake = new Handshake(to, proxy.credentials);
  }

  opened(): void {
    this.stream!.write(this.#handshake!.hello);
  }

  received(now: Mono, bytes: Uint8Array): void {
    if (!this.#handshake) {
      this.#handler.received(now, bytes);
      return;
    }
    const step = this.#handshake.receive(bytes);
    if (step.type === 'send') this.stream!.write(step.data);
    else if (step.type === 'failed') this.#fail(now, step.reason);
    else if (step.type === 'connected') {
      this.#handshake = undefined;
      this.#handler.opened?.(now);
      if (step.rest.length > 0) this.#handler.received(now, step.rest);
    }
  }

  written(now: Mono, queued: number): void {
    if (!this.#handshake) this.#handler.written(now, queued);
  }

  closed(now: Mono): void {
    if (this.#handshake) this.#env.log('proxy.failed', { reason: 'closed' });
    this.#handler.closed(now);
  }

  #fail(now: Mono, reason: string): void {
    this.#env.log('proxy.failed', { reason });
    this.stream!.close();
    this.#handler.closed(now);
  }
}
