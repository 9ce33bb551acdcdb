import type { HostPort } from '../core/machine.ts';
import { type Endpoint, endpoint, endpointAddress, endpointIp, endpointPort } from '../wire/endpoint.ts';
import { Writer } from '../wire/writer.ts';
import {
  failed,
  joined,
  type ProxyCredentials,
  type ProxyFailure,
  type ProxyHandshake,
  type ProxyStep,
  WAIT,
} from './proxy-handshake.ts';

// RFC 1928, RFC 1929.
const VERSION = 5;
const NO_AUTHENTICATION = 0;
const USERNAME_PASSWORD = 2;
const CONNECT = 1;
const IP4 = 1;
const DOMAIN_NAME = 3;
const IP6 = 4;
const NEGOTIATION_VERSION = 1;
const SUCCEEDED = 0;
const NOT_ALLOWED = 2;

/** RFC 1928 §4: CONNECT. A host name is sent as it is: the proxy resolves it. */
export class Socks5Handshake implements ProxyHandshake {
  readonly hello: Uint8Array;
  readonly #to: Endpoint | HostPort;
  readonly #credentials: ProxyCredentials | undefined;
  /** BOUNDED: by the longest answer, 262 bytes, and what came with it. */
  #received: Uint8Array = new Uint8Array(0);
  #state: 'method' | 'credentials' | 'reply' = 'method';

  constructor(to: Endpoint | HostPort, credentials: ProxyCredentials | undefined) {
    this.#to = to;
    this.#credentials = credentials;
    // With both, the proxy takes what it wants; Tor keeps users apart by their names.
    const methods = credentials ? [USERNAME_PASSWORD, NO_AUTHENTICATION] : [NO_AUTHENTICATION];
    this.hello = Uint8Array.of(VERSION, methods.length, ...methods);
  }

  receive(bytes: Uint8Array): ProxyStep {
    this.#received = joined(this.#received, bytes);
    switch (this.#state) {
      case 'method':
        return this.#receiveMethod();
      case 'credentials':
        return this.#receiveStatus();
      default:
        return this.#receiveReply();
    }
  }

  /** `version(1) method(1)`. */
  #receiveMethod(): ProxyStep {
    if (this.#received.length < 2) return WAIT;
    const [version, method] = this.#take(2);
    if (version !== VERSION) return failed('not-a-proxy');
    if (method === NO_AUTHENTICATION) return this.#request();
    if (method !== USERNAME_PASSWORD || !this.#credentials) return failed('credentials');
    this.#state = 'credentials';
    const [user, password] = [this.#credentials.user, this.#credentials.password].map((s) =>
      new TextEncoder().encode(s),
    );
    const w = new Writer().u8(NEGOTIATION_VERSION);
    return { type: 'send', data: w.u8(user!.length).bytes(user!).u8(password!.length).bytes(password!).finish() };
  }

  /** `version(1) status(1)`. */
  #receiveStatus(): ProxyStep {
    if (this.#received.length < 2) return WAIT;
    const [version, status] = this.#take(2);
    if (version !== NEGOTIATION_VERSION) return failed('not-a-proxy');
    return status === SUCCEEDED ? this.#request() : failed('credentials');
  }

  /** `version(1) CONNECT reserved(1) address type(1) address port(2)`. */
  #request(): ProxyStep {
    this.#state = 'reply';
    const w = new Writer().u8(VERSION).u8(CONNECT).u8(0);
    const host = endpointAddress(this.#to as Endpoint);
    const port = endpointPort(this.#to as Endpoint);
    const numeric = endpoint(host, port);
    if (numeric) {
      const ip = endpointIp(numeric);
      w.u8(ip.length === 4 ? IP4 : IP6).bytes(ip);
    } else {
      const name = new TextEncoder().encode(host);
      w.u8(DOMAIN_NAME).u8(name.length).bytes(name);
    }
    return { type: 'send', data: w.u16(port).finish() };
  }

  /** `version(1) reply(1) reserved(1) address type(1) address port(2)`. */
  #receiveReply(): ProxyStep {
    const [version, reply, , type, length] = this.#received;
    if (version !== undefined && version !== VERSION) return failed('not-a-proxy');
    if (reply !== undefined && reply !== SUCCEEDED) return failed(failureOf(reply));
    if (type === undefined || length === undefined) return WAIT;
    if (type !== IP4 && type !== DOMAIN_NAME && type !== IP6) return failed('not-a-proxy');
    const address = type === IP4 ? 4 : type === IP6 ? 16 : 1 + length;
    const size = 4 + address + 2;
    if (this.#received.length < size) return WAIT;
    this.#take(size);
    return { type: 'connected', rest: this.#received };
  }

  #take(size: number): Uint8Array {
    const taken = this.#received.subarray(0, size);
    this.#received = this.#received.slice(size);
    return taken;
  }
}

function failureOf(reply: number): ProxyFailure {
  return reply === NOT_ALLOWED ? 'forbidden' : 'unreachable';
}
