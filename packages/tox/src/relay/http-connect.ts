import type { HostPort } from '../core/machine.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { failed, joined, type ProxyCredentials, type ProxyHandshake, type ProxyStep, WAIT } from './proxy-handshake.ts';

/** Ours: a longer header section is none of a proxy that connected us; bytes. */
const MAX_HEADER_SIZE = 16_384;

const CR = 13;
const LF = 10;

/** RFC 9110 §9.3.6: CONNECT over HTTP/1.1. A host name is sent as it is: the proxy resolves it. */
export class HttpConnectHandshake implements ProxyHandshake {
  readonly hello: Uint8Array;
  #received: Uint8Array = new Uint8Array(0);
  /** Where the search for the end of the header section goes on. */
  #at = 0;

  constructor(to: Endpoint | HostPort, credentials: ProxyCredentials | undefined) {
    const lines = [`CONNECT ${to} HTTP/1.1`, `Host: ${to}`];
    if (credentials) {
      const pair = Buffer.from(`${credentials.user}:${credentials.password}`, 'utf8').toString('base64'); // RFC 7617 §2
      lines.push(`Proxy-Authorization: Basic ${pair}`);
    }
    this.hello = new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`);
  }

  receive(bytes: Uint8Array): ProxyStep {
    this.#received = joined(this.#received, bytes);
    for (;;) {
      const end = this.#headerEnd();
      if (end === undefined) return this.#received.length > MAX_HEADER_SIZE ? failed('not-a-proxy') : WAIT;
      const status = statusOf(this.#received.subarray(0, end));
      this.#received = this.#received.slice(end);
      this.#at = 0;
      if (status === undefined || end > MAX_HEADER_SIZE) return failed('not-a-proxy');
      if (status >= 200) return this.#finish(status);
      // An interim response (RFC 9110 §15.2): the final one follows.
    }
  }

  #finish(status: number): ProxyStep {
    // A 2xx has no content, whatever its fields say: the tunnel begins after them.
    if (status < 300) return { type: 'connected', rest: this.#received };
    if (status === 407) return failed('credentials');
    return failed(status === 403 || status === 405 ? 'forbidden' : 'unreachable');
  }

  /** The first byte after the empty line that ends the header section; a single LF ends a line too (RFC 9112 §2.2). */
  #headerEnd(): number | undefined {
    const data = this.#received;
    for (let i = this.#at; i < data.length; i++) {
      if (data[i] !== LF) continue;
      if (i + 1 < data.length && data[i + 1] === LF) return i + 2;
      if (i + 2 < data.length && data[i + 1] === CR && data[i + 2] === LF) return i + 3;
    }
    this.#at = Math.max(0, data.length - 2);
    return undefined;
  }
}

/** RFC 9112 §4: `HTTP/1.x SP 3DIGIT`. Undefined for anything else. */
function statusOf(header: Uint8Array): number | undefined {
  const line = Buffer.from(header.subarray(0, 13)).toString('latin1');
  const match = /^HTTP\/1\.[0-9] ([1-5][0-9]{2})(?:[ \r\n]|$)/.exec(line);
  return match ? Number(match[1]) : undefined;
}
