import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP, type Socket } from 'node:net';
import { isLoopback } from '../base/addresses.ts';
import { errorField, type Logger } from '../base/log.ts';
import { autoconfig, TYPED_ADDRESS } from './autoconfig.ts';
import { autodiscover, requestedAddress } from './autodiscover.ts';
import { indexPage, PAGE_POLICY } from './index-page.ts';
import { type Listeners, type MailSettings, mailSettings } from './mail-settings.ts';
import { mobileconfig } from './mobileconfig.ts';

export interface WebDeps {
  readonly log: Logger;
  readonly tls: {
    /** Rejects, with the socket destroyed, if the peer cannot. */
    accept(socket: Socket): Promise<Socket>;
    /** Whether the certificate is for that name or address. */
    certifies(name: string): boolean;
  };
  /** The mail servers. */
  listeners(): Listeners;
  /** Names of this machine, lower case. Requests for other names are refused. */
  names(): readonly string[];
  /** PEM and fingerprint of the local certificate authority, if there is one. */
  authority(): Promise<{ readonly certificate: string; readonly fingerprint: string } | undefined>;
}

/** Ours: everything that we take is shorter. */
const BODY_MAX = 16 * 1024;
const HEADER_MAX = 8 * 1024;
const CONNECTIONS_MAX = 50;
const HEADER_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
const IDLE_TIMEOUT_MS = 5_000;
/** RFC 8446 §5.1: the first byte of a TLS connection. */
const TLS_HANDSHAKE = 22;
/** An account's name, as `store/accounts.ts` takes it. */
const ACCOUNT = /^[a-z0-9._-]{1,64}$/;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Question {
  readonly query: URLSearchParams;
  readonly body: string;
  /** As the client called us, without port. */
  readonly host: string;
  /** The client is on this machine. */
  readonly local: boolean;
}

/**
 * Settings for mail programs over HTTP and, on the same port, HTTPS. All that it tells follows from the question and the open ports: no password, no
 * name of an account, no answer that depends on whether there is one.
 */
export class WebServer {
  readonly #deps: WebDeps;
  readonly #server: Server;
  /** Those that have said nothing yet, or shake hands. BOUNDED by CONNECTIONS_MAX. */
  readonly #fresh = new Set<Socket>();

  constructor(deps: WebDeps) {
    this.#deps = deps;
    const limits = { maxHeaderSize: HEADER_MAX, headersTimeout: HEADER_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS };
    this.#server = createServer({ ...limits, keepAliveTimeout: IDLE_TIMEOUT_MS }, (request, response) => {
      this.#serve(request, response).catch((error) => {
        deps.log.error('web.failed', { error: errorField(error) });
        response.destroy();
      });
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('clientError', (_error, socket) => socket.destroy());
    const [serve] = this.#server.listeners('connection') as [(socket: Socket) => void];
    this.#server.off('connection', serve);
    this.#server.on('connection', (socket) => this.#accept(socket, (ready) => serve.call(this.#server, ready)));
  }

  /** Port 0: any free one. Rejects if the port is taken. */
  listen(at: { host: string; port: number }): Promise<{ host: string; port: number }> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(at, () => {
        this.#server.off('error', reject);
        const { address, port } = this.#server.address() as AddressInfo;
        resolve({ host: address, port });
      });
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    for (const socket of this.#fresh) socket.destroy();
    await closed;
  }

  /** HTTP or HTTPS, as the first byte says. */
  #accept(socket: Socket, serve: (socket: Socket) => void): void {
    const { tls } = this.#deps;
    const late = (): void => void socket.destroy();
    this.#fresh.add(socket);
    socket.on('error', () => {}); // 'close' follows
    socket.once('close', () => this.#fresh.delete(socket));
    socket.setTimeout(HEADER_TIMEOUT_MS, late);
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      socket.setTimeout(0, late);
      socket.unshift(chunk);
      const ready = chunk[0] === TLS_HANDSHAKE ? tls.accept(socket) : Promise.resolve(socket);
      ready.then(
        (now) => {
          this.#fresh.delete(socket);
          serve(now);
          now.resume();
        },
        () => {}, // it is destroyed
      );
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, body, headers } = await this.#answer(request);
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'Content-Security-Policy': PAGE_POLICY,
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      ...(request.complete ? {} : { Connection: 'close' }),
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const host = hostOf(request.headers.host);
    // A page elsewhere can make its own name mean our address (DNS rebinding); ours are known, and addresses are safe.
    if (host === undefined || !(isIP(host) || isLoopback(host) || this.#deps.names().includes(host)))
      return plain(421, 'This server does not go by that name. Use its address, or start it with --tls-name.');
    const url = URL.parse(`http://localhost${request.url}`);
    const route = url && ROUTES[url.pathname.toLowerCase()];
    if (!url || !route) return plain(404, 'There is nothing here.');
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    if (method !== route.method)
      return {
        ...plain(405, `Use ${route.method}.`),
        headers: { Allow: route.method === 'GET' ? 'GET, HEAD' : 'POST' },
      };
    const body = route.method === 'POST' ? await readBody(request) : '';
    if (body === undefined) return plain(413, 'The request is too long.');
    const local = isLoopback(request.socket.remoteAddress ?? '');
    return route.answer(this.#deps, { query: url.searchParams, body, host, local });
  }
}

interface Route {
  readonly method: 'GET' | 'POST';
  answer(deps: WebDeps, question: Question): Answer | Promise<Answer>;
}

const AUTOCONFIG: Route = {
  method: 'GET',
  answer: (deps, question) => xml(autoconfig(settingsOf(deps, question, TYPED_ADDRESS))),
};

const ROUTES: Readonly<Record<string, Route | undefined>> = {
  '/': {
    method: 'GET',
    async answer(deps, question) {
      const settings = settingsOf(deps, question, 'NAME');
      if (question.local) return html(indexPage(settings));
      const fingerprint = (await deps.authority())?.fingerprint;
      return html(indexPage(settings, { fingerprint, certified: deps.tls.certifies(question.host) }));
    },
  },
  '/.well-known/autoconfig/mail/config-v1.1.xml': AUTOCONFIG,
  '/mail/config-v1.1.xml': AUTOCONFIG,
  '/autodiscover/autodiscover.xml': {
    method: 'POST',
    answer(deps, question) {
      const address = requestedAddress(question.body);
      if (address === undefined) return plain(400, 'This is no Autodiscover request.');
      return xml(autodiscover(settingsOf(deps, question, address)));
    },
  },
  '/apple.mobileconfig': {
    method: 'GET',
    async answer(deps, question) {
      const account = question.query.get('account')?.trim().toLowerCase() ?? '';
      if (!ACCOUNT.test(account)) return plain(400, 'Say whose account: /apple.mobileconfig?account=NAME');
      const authority = question.local ? undefined : await deps.authority();
      return {
        status: 200,
        type: 'application/x-apple-aspen-config',
        body: mobileconfig(settingsOf(deps, question, account), authority?.certificate),
        headers: { 'Content-Disposition': 'attachment; filename="toxmail.mobileconfig"' },
      };
    },
  },
  '/ca.crt': {
    method: 'GET',
    async answer(deps) {
      const authority = await deps.authority();
      if (!authority) return plain(404, 'This server has a certificate of its owner, not one of its own making.');
      return {
        status: 200,
        type: 'application/x-x509-ca-cert',
        body: authority.certificate,
        headers: { 'Content-Disposition': 'attachment; filename="toxmail-ca.crt"' },
      };
    },
  },
};

function settingsOf(deps: WebDeps, { host, local }: Question, user: string): MailSettings {
  return mailSettings(user, deps.listeners(), host, local);
}

function plain(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

function xml(body: string): Answer {
  return { status: 200, type: 'text/xml; charset=utf-8', body };
}

function html(body: string): Answer {
  return { status: 200, type: 'text/html; charset=utf-8', body };
}

/** RFC 9110 §7.2, without the port and the brackets of IPv6. */
function hostOf(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/** Undefined if it is too long. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    size += part.length;
    if (size > BODY_MAX) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
