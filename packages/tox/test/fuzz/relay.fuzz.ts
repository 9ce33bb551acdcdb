import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeRelayPacket, encodeRelayPacket } from '../../src/packet/relay.ts';
import { HttpConnectHandshake } from '../../src/relay/http-connect.ts';
import { parseProxy } from '../../src/relay/proxy.ts';
import { Socks5Handshake } from '../../src/relay/socks5.ts';
import { endpoint, hostPort } from '../../src/wire/endpoint.ts';
import { ScriptedRelay } from '../relay/scripted-relay.ts';
import { Service } from '../relay/service.ts';

const PING = Uint8Array.of(4, 1, 1, 1, 1, 1, 1, 1, 1);
/** Contents of frames: near enough to packets that many are ones. */
const packet = fc
  .tuple(fc.oneof(fc.nat(20), fc.nat(255)), fc.nat(3), fc.uint8Array({ maxLength: 1_400 }))
  .map(([kind, peer, rest]) => ({ kind, peer, rest }));
const size = fc.constantFrom(0, 1, 2, 8, 9, 33, 34, 57, 200, 1_400);

test('packets of a relay are read and written again as they were, or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_100 }), (data) => {
      const decoded = decodeRelayPacket(data);
      if (decoded) assert.deepEqual(encodeRelayPacket(decoded), data);
    }),
  );
});

test('clients that say anything: the relay keeps its bounds, and two others talk on', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(packet, size, fc.nat(4)), { maxLength: 60 }), (said) => {
      const service = new Service({ maxClients: 6 });
      const [a, b] = [service.guest(), service.guest()];
      a.client.requestRoute(b.keys.publicKey);
      b.client.requestRoute(a.keys.publicKey);
      service.settle();
      let rude = [service.raw(PING), service.raw(PING), service.raw(PING)];
      for (const [{ kind, peer, rest }, cut, pause] of said) {
        const keys = [a.keys, b.keys, ...rude.map((r) => r.keys)];
        const body = Uint8Array.of(kind, ...keys[peer % keys.length]!.publicKey, ...rest).subarray(0, 1 + cut);
        rude[peer % rude.length]!.send(body);
        rude = rude.map((r) => (r.line.open ? r : service.raw(PING)));
        service.settle();
        if (pause === 0) service.advance(service.now + 7_000);
        for (const r of rude) r.received();
      }
      b.news();
      assert.ok(a.client.sendData(16, Uint8Array.of(9)));
      service.settle();
      assert.deepEqual(b.news().at(-1), ['data', 16, Uint8Array.of(9)]);
      const { clients, halfOpen } = service.server.stats;
      assert.ok(clients <= 6 && halfOpen <= 512);
      service.server.close();
      const left = service.server.stats;
      assert.deepEqual([left.clients, left.halfOpen, left.queuedBytes], [0, 0, 0]);
      assert.equal(service.server.nextWake() ?? service.now, service.now);
    }),
  );
});

test('a relay that says anything: the client closes or goes on, and never throws', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(packet, size), { maxLength: 60 }), (said) => {
      const relay = new ScriptedRelay().login();
      const peers = Array.from({ length: 3 }, () => relay.env.random(32));
      for (const peer of peers) relay.client.requestRoute(peer as never);
      for (const [{ kind, peer, rest }, cut] of said) {
        if (relay.client.state !== 'online') break;
        const head = kind === 1 ? [kind, 14 + (rest[0] ?? 0) / 64] : [kind];
        relay.sendRaw(Uint8Array.of(...head, ...peers[peer % 3]!, ...rest).subarray(0, 1 + cut));
        relay.client.sendData(16, rest);
        relay.read();
      }
      relay.advance(relay.now + 60_000);
      assert.equal(relay.client.state, 'closed'); // it answered no ping
    }),
  );
});

test('random bytes, split anyhow, never log anybody in', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (pieces) => {
      const service = new Service();
      const line = service.line();
      for (const piece of pieces) line.send(piece);
      assert.equal(service.server.stats.clients, 0);
      const relay = new ScriptedRelay();
      relay.client.connected(0);
      for (const piece of pieces) relay.client.receive(0, piece);
      assert.notEqual(relay.client.state, 'online');
    }),
  );
});

test('whatever a proxy answers, in whatever pieces, is one step or another, and the pieces do not matter', () => {
  const to = endpoint('192.0.2.1', 443)!;
  const http = fc.string({ maxLength: 200 }).map((s) => new Uint8Array(Buffer.from(`HTTP/1.1 ${s}`)));
  const socks = fc.uint8Array({ maxLength: 40 }).map((rest) => Uint8Array.of(5, 0, ...rest));
  const answer = fc.oneof(fc.uint8Array({ maxLength: 300 }), http, socks);
  fc.assert(
    fc.property(answer, fc.integer({ min: 1, max: 50 }), fc.boolean(), (data, piece, isHttp) => {
      const outcome = (by: number) => {
        const handshake = isHttp ? new HttpConnectHandshake(to, undefined) : new Socks5Handshake(to, undefined);
        for (let at = 0; at < data.length; at += by) {
          const step = handshake.receive(data.subarray(at, at + by));
          if (step.type === 'connected') return [step.type, at + by - step.rest.length];
          if (step.type === 'failed') return [step.type, step.reason];
        }
        return ['wait'];
      };
      if (isHttp) assert.deepEqual(outcome(piece)[0], outcome(1_000)[0]);
      outcome(piece);
    }),
  );
});

test('any text is a proxy with a host, or none', () => {
  const sign = fc.constantFrom(...'socks5http:/@[].%0aZ- ');
  const text = fc.oneof(
    fc.string(),
    fc.array(sign, { maxLength: 60 }).map((signs) => `socks5://${signs.join('')}:1`),
  );
  fc.assert(
    fc.property(text, (written) => {
      const proxy = parseProxy(written);
      if (proxy) assert.ok(hostPort(proxy.host, proxy.port) && !/[\s\0]/.test(proxy.host));
    }),
  );
});
