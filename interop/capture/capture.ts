#!/usr/bin/env node
// Writes packages/tox/test/vectors/*.json: packets as c-toxcore makes them, with the keys that open
// them. Run by hand (`node interop/capture/capture.ts`); the files are committed. Everything is
// deterministic, so a second run changes nothing unless the scenario or the library did.

import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Nonce, PublicKey, SecretKey, SharedKey } from '../../packages/tox/src/crypto/keys.ts';
import { open, scalarMultBase, sharedKey } from '../../packages/tox/src/crypto/sodium.ts';
import { BootstrapDaemon } from '../oracle/bootstrap-daemon.ts';
import { compile, disposePrograms } from '../oracle/tools.ts';

const SOURCE = 'c-toxcore 0.2.18'; // internals.c states the layouts of this version
const OUT = new URL('../../packages/tox/test/vectors/', import.meta.url);
const MOTD = 'golden bytes';

const run = promisify(execFile);

interface NodeLine {
  node: string;
  ip4: string;
  ip6?: string;
  port: number;
  realKey: string;
  realSecret: string;
  dhtKey: string;
  toxId: string;
}

interface Datagram {
  at: number;
  from: string;
  to: string;
  lost: boolean;
  data: Buffer;
}

/** What one run of the scenario put on the wire, and the keys that open it. */
class Capture {
  readonly nodes: NodeLine[] = [];
  readonly datagrams: Datagram[] = [];
  readonly did: { at: number; did: string }[] = [];
  readonly saves: Record<string, unknown>[] = [];
  /** Every 32 random bytes that the library drew: secret keys and symmetric keys. */
  readonly #secrets: Buffer[] = [];
  readonly #pairs = new Map<string, Buffer>();

  constructor(output: string) {
    for (const line of output
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text))) {
      if (line.node) this.nodes.push(line);
      else if (line.secret) this.#secrets.push(Buffer.from(line.secret, 'hex'));
      else if (line.data) this.datagrams.push({ ...line, data: Buffer.from(line.data, 'hex') });
      else if (line.did) this.did.push(line);
      else if (line.save) this.saves.push(line);
      else if (line.source !== SOURCE) throw new Error(`${line.source} instead of ${SOURCE}`);
    }
    for (const secret of this.#secrets) {
      const publicKey = scalarMultBase(new Uint8Array(secret) as Uint8Array as SecretKey);
      this.#pairs.set(hex(publicKey), secret);
    }
  }

  /** The datagrams of one kind, in order. */
  of(kind: number, where: (d: Datagram) => boolean = () => true): Datagram[] {
    return this.datagrams.filter((d) => d.data[0] === kind && where(d));
  }

  /** When the scenario's line that starts so was printed. */
  moment(did: string): number {
    const line = this.did.find((l) => l.did.startsWith(did));
    if (!line) throw new Error(`the scenario never came to: ${did}`);
    return line.at;
  }

  secretOf(publicKey: Uint8Array): Uint8Array {
    const secret = this.#pairs.get(hex(publicKey));
    if (!secret) throw new Error(`nobody made ${hex(publicKey)}`);
    return new Uint8Array(secret);
  }

  /** Opens a box between a key of ours (by its public half) and another public key. */
  open(own: Uint8Array, peer: Uint8Array, nonce: Uint8Array, box: Uint8Array): Uint8Array {
    const shared = sharedKey(peer as PublicKey, this.secretOf(own) as SecretKey);
    const plain = shared && open(shared, new Uint8Array(nonce) as Nonce, new Uint8Array(box));
    if (!plain) throw new Error(`a box to ${hex(own)} does not open`);
    return plain;
  }

  /** Plain text of 00, 01, 02, 04. */
  dhtPlain(d: Datagram): Buffer {
    return Buffer.from(
      this.open(this.dhtKey(d.to), d.data.subarray(1, 33), d.data.subarray(33, 57), d.data.subarray(57)),
    );
  }

  /** Plain text of 20, whoever it is on its way to. */
  requestPlain({ data }: Datagram): Buffer {
    return Buffer.from(
      this.open(data.subarray(1, 33), data.subarray(33, 65), data.subarray(65, 89), data.subarray(89)),
    );
  }

  /** The random 32 bytes that open this box as a symmetric key. */
  symmetric(nonce: Uint8Array, box: Uint8Array): string {
    for (const secret of this.#secrets) {
      if (open(new Uint8Array(secret) as SharedKey, new Uint8Array(nonce) as Nonce, new Uint8Array(box))) {
        return hex(secret);
      }
    }
    throw new Error('no symmetric key opens it');
  }

  node(name: string): NodeLine {
    return this.nodes.find((n) => n.node === name)!;
  }

  dhtKey(name: string): Buffer {
    return Buffer.from(this.node(name).dhtKey, 'hex');
  }

  /** The part of the table of nodes and key pairs that these datagrams need. */
  describe(names: Iterable<string>): Record<string, unknown> {
    const entries = [...new Set(names)].sort().map((name) => {
      const { node: _, ...rest } = this.node(name);
      const dhtSecret = hex(this.secretOf(Buffer.from(rest.dhtKey, 'hex')));
      return [name, { ...rest, dhtSecret }];
    });
    return Object.fromEntries(entries);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function show(d: Datagram): { from: string; to: string; data: string } {
  return { from: d.from, to: d.to, data: hex(d.data) };
}

// ---------------------------------------------------------------- DHT

function dht(c: Capture): unknown {
  const pong = c.of(0x01)[0]!;
  const ping = c.of(0x00, (d) => d.from === pong.to && d.to === pong.from && d.at < pong.at).at(-1)!;

  // One answer of each size: none to four nodes, IPv4 and IPv6.
  const bySize = new Map<number, Datagram>();
  for (const d of c.of(0x04, (o) => !o.lost)) if (!bySize.has(d.data.length)) bySize.set(d.data.length, d);
  const lookups = [...bySize.values()].map((answer) => {
    const id = c.dhtPlain(answer).subarray(-8);
    const ask = c.of(0x02, (d) => d.to === answer.from && id.equals(c.dhtPlain(d).subarray(-8)))[0]!;
    return { request: show(ask), response: show(answer) };
  });

  const people = ['alice', 'bob'].map((name) => [c.node(name).dhtKey, name]);
  const request = (size: (n: number) => boolean) => {
    const d = c.of(0x20, (o) => size(o.data.length) && people.some(([key]) => key === hex(o.data.subarray(1, 33))))[0]!;
    return { ...show(d), receiver: people.find(([key]) => key === hex(d.data.subarray(1, 33)))![1]! };
  };
  const natPings = c.of(0x20, (d) => d.data.length === 115);
  const natRequest = natPings.find((d) => c.requestPlain(d)[1] === 0)!;
  const natId = c.requestPlain(natRequest).subarray(2);
  const natResponse = natPings.find((d) => c.requestPlain(d)[1] === 1 && natId.equals(c.requestPlain(d).subarray(2)))!;
  const used = [ping, pong].map(show);
  return {
    nodes: c.describe(c.nodes.map((n) => n.node)),
    ping: { request: used[0], response: used[1] },
    lookups,
    natPing: { request: show(natRequest), response: show(natResponse) },
    dhtKey: request((n) => n > 200),
    lanDiscovery: show(c.of(0x21)[0]!),
  };
}

// ---------------------------------------------------------------- onion

interface Chain {
  /** 80, 81, 82 in order. */
  forward: Datagram[];
  /** 83 or 85 with the return block, as the destination gets it. */
  request: Datagram;
}

const RETURN_3 = 177;

/** Follows a request from 0x80 to its destination: all layers show one nonce. */
function chain(c: Capture, first: Datagram): Chain | undefined {
  const nonce = first.data.subarray(1, 25);
  const forward = [first];
  for (const kind of [0x81, 0x82]) {
    const last = forward.at(-1)!;
    const next = c.datagrams.find(
      (d) => d.data[0] === kind && d.from === last.to && d.at >= last.at && d.data.subarray(1, 25).equals(nonce),
    );
    if (!next || next.lost) return undefined;
    forward.push(next);
  }
  const last = forward.at(-1)!;
  const size = last.data.length - 33; // without kind, nonce, key, MAC, address, block 2; with block 3
  const hop = Buffer.from(c.node(last.to).dhtKey, 'hex');
  const plain = c.open(hop, last.data.subarray(25, 57), nonce, last.data.subarray(57, last.data.length - 118));
  const payload = Buffer.from(plain.subarray(19));
  const request = c.datagrams.find(
    (d) => d.from === last.to && d.data.length === size && d.data.subarray(0, payload.length).equals(payload),
  );
  return request && !request.lost && new Set(forward.map((d) => d.to)).size === 3 ? { forward, request } : undefined;
}

/** 8c, 8d, 8e and what arrives, for the answer that carries this return block. */
function answer(c: Capture, from: string, block: Uint8Array, since: number): Datagram[] | undefined {
  const first = c.of(0x8c, (d) => d.from === from && d.at >= since && d.data.subarray(1, 178).equals(block))[0];
  if (!first) return undefined;
  const payload = first.data.subarray(178);
  const way = [first];
  for (const [kind, head] of [
    [0x8d, 119],
    [0x8e, 60],
    [undefined, 0],
  ] as const) {
    const last = way.at(-1)!;
    const next = c.datagrams.find(
      (d) =>
        d.from === last.to &&
        d.at >= last.at &&
        (kind === undefined ? d.data.length === payload.length : d.data[0] === kind) &&
        d.data.subarray(head).equals(payload),
    );
    if (!next || next.lost) return undefined;
    way.push(next);
  }
  return way;
}

function onion(c: Capture): unknown {
  const keys = new Map<string, string>();
  const blocks = new Map<string, string>();
  const note = (publicKey: Uint8Array) => keys.set(hex(publicKey), hex(c.secretOf(publicKey)));

  const announce = (owner: string, wanted: (status: number, nodes: number, own: boolean) => boolean) => {
    for (const first of c.of(0x80, (d) => d.from === owner && !d.lost && d.data.length === 403)) {
      const way = chain(c, first);
      if (!way) continue;
      const request = way.request.data;
      const back = answer(c, way.request.to, request.subarray(RETURN_3), way.request.at);
      if (!back) continue;
      const key = request.subarray(25, 57);
      const reply = back.at(-1)!.data;
      const plain = c.open(key, c.dhtKey(way.request.to), reply.subarray(9, 33), reply.subarray(33));
      if (!wanted(plain[0]!, reply.length - 82, hex(key) === c.node(owner).realKey)) continue;
      note(key);
      const asked = c.open(key, c.dhtKey(way.request.to), request.subarray(1, 25), request.subarray(57, RETURN_3));
      if (asked.subarray(64, 96).some((x) => x !== 0)) note(asked.subarray(64, 96));
      if (plain[0] === 1) note(plain.subarray(1, 33));
      return { ...layers(way), response: back.map(show), status: plain[0] };
    }
    throw new Error('no such announce');
  };

  const layers = (way: Chain) => {
    const [, second, third] = way.forward as [Datagram, Datagram, Datagram];
    note(second.data.subarray(25, 57));
    note(third.data.subarray(25, 57));
    for (const [d, size] of [
      [second, 59],
      [third, 118],
      [way.request, RETURN_3],
    ] as const) {
      const block = d.data.subarray(d.data.length - size);
      blocks.set(d.from, c.symmetric(block.subarray(0, 24), block.subarray(24)));
    }
    return { forward: way.forward.map(show), request: show(way.request) };
  };

  const data = (owner: string, receiver: string, id: number) => {
    for (const first of c.of(0x80, (d) => d.from === owner && !d.lost && d.data.length !== 403)) {
      const way = chain(c, first);
      if (way?.request.data[0] !== 0x85) continue;
      const request = way.request.data;
      const forwarded = request.subarray(33, request.length - RETURN_3);
      const there = c.of(0x8c, (d) => d.from === way.request.to && d.data.subarray(179).equals(forwarded))[0];
      const back = there && answer(c, there.from, there.data.subarray(1, 178), there.at);
      if (!back) continue;
      // The data key of the receiver: the one of all pairs that opens it.
      const temporary = forwarded.subarray(24, 56);
      const dataKey = [...keys.keys()].find((k) => {
        try {
          return c.open(Buffer.from(k, 'hex'), temporary, forwarded.subarray(0, 24), forwarded.subarray(56));
        } catch {
          return false;
        }
      });
      if (!dataKey) continue;
      const outer = c.open(Buffer.from(dataKey, 'hex'), temporary, forwarded.subarray(0, 24), forwarded.subarray(56));
      const real = Buffer.from(c.node(receiver).realKey, 'hex');
      const inner = c.open(real, outer.subarray(0, 32), forwarded.subarray(0, 24), outer.subarray(32));
      if (inner[0] !== id) continue;
      note(temporary);
      return { ...layers(way), response: back.map(show), receiver, dataKey };
    }
    throw new Error(`no onion data with id ${id}`);
  };

  const result = {
    first: announce('alice', (status, nodes, own) => status === 0 && own && nodes > 39),
    search: announce('alice', (status, nodes, own) => status === 0 && !own && nodes > 0),
    stored: announce('alice', (status, _, own) => status === 2 && own),
    found: announce('alice', (status, _, own) => status === 1 && !own),
    friendRequest: data('alice', 'bob', 0x20),
    dhtKey: data('alice', 'bob', 0x9c),
  };
  return {
    nodes: c.describe(c.nodes.map((n) => n.node)),
    /** public → secret: path keys, temporary keys, data keys. */
    keys: Object.fromEntries(keys),
    /** node → the symmetric key of its return blocks. */
    returnKeys: Object.fromEntries(blocks),
    ...result,
  };
}

// ---------------------------------------------------------------- sessions

function session(c: Capture): unknown {
  const both = new Set(['alice', 'bob']);
  const between = (d: Datagram) => !d.lost && both.has(d.from) && both.has(d.to);
  const take = (kind: number) => c.of(kind, between);
  const handshakes = take(0x1a);
  const keys: Record<string, string> = {};
  const cookieKeys: Record<string, string> = {};
  for (const h of handshakes) {
    const box = h.data.subarray(137);
    const own = Buffer.from(c.node(h.to).realKey, 'hex');
    const plain = c.open(own, Buffer.from(c.node(h.from).realKey, 'hex'), h.data.subarray(113, 137), box);
    const sessionKey = plain.subarray(24, 56);
    keys[hex(sessionKey)] = hex(c.secretOf(sessionKey));
    cookieKeys[h.to] = c.symmetric(h.data.subarray(1, 25), h.data.subarray(25, 113));
  }
  // Of the bulk only its first packets, and what Bob says about it.
  const [begin, end] = [c.moment('bulk begins'), c.moment('bulk ends')];
  let shown = 0;
  const packets = c.of(0x1b, (d) => {
    if (!both.has(d.from) || !both.has(d.to)) return false;
    return d.from === 'bob' || d.at < begin || d.at > end || shown++ < 3;
  });
  return {
    nodes: c.describe(both),
    /** public → secret of the session keys. */
    keys,
    /** The symmetric keys of the cookies that each made. */
    cookieKeys,
    cookieRequests: take(0x18).map(show),
    cookieResponses: take(0x19).map(show),
    /** Both sides opened at once: the first of each made the session. */
    handshakes: handshakes.map(show),
    /** `lost` ones never arrived. The receiver's requests for them follow. */
    packets: packets.map((d) => ({ ...show(d), lost: d.lost })),
  };
}

// ---------------------------------------------------------------- bootstrap info

async function bootstrapInfo(): Promise<unknown> {
  await using daemon = await BootstrapDaemon.start({ motd: MOTD });
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const request = new Uint8Array(78);
  request[0] = 0xf0;
  socket.send(request, daemon.port, daemon.host);
  const [response] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return { motd: MOTD, request: hex(request), response: hex(response) };
}

// ---------------------------------------------------------------- all of it

async function write(name: string, content: unknown): Promise<void> {
  const text = `${JSON.stringify({ source: SOURCE, ...(content as object) }, null, 1)}\n`;
  await writeFile(new URL(`${name}.json`, OUT), text);
  console.log(`${name}.json: ${text.length} bytes`);
}

await mkdir(OUT, { recursive: true });
const options = { maxBuffer: 1 << 28 };
const internals = await compile(new URL('internals.c', import.meta.url), 'static');
const primitives = JSON.parse((await run(internals, options)).stdout);
if (primitives.source !== SOURCE) throw new Error(`${primitives.source} instead of ${SOURCE}`);
await write('primitives', primitives);
const wire = await compile(new URL('wire.c', import.meta.url));
const capture = new Capture((await run(wire, options)).stdout);
await write('dht', { ...(dht(capture) as object), bootstrapInfo: await bootstrapInfo() });
await write('onion', onion(capture));
await write('session', session(capture));
const { save: _name, at: _at, ...save } = capture.saves[0]!;
await write('save', { nodes: capture.describe(capture.nodes.map((n) => n.node)), ...save });
await disposePrograms();
