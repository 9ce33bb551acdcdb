import type { Env, Mono } from '../../src/core/env.ts';
import type { Datagram, Machine } from '../../src/core/machine.ts';
import { type Stream, Streams } from '../../src/core/streams.ts';
import { generateKeyPair, type KeyId, type KeyPair, keyId, type PublicKey } from '../../src/crypto/keys.ts';
import { sharedKey } from '../../src/crypto/sodium.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import { decodeRelayPacket, encodeRelayPacket, FIRST_ROUTE_ID, type RelayPacket } from '../../src/packet/relay.ts';
import { FrameOpener, FrameSealer, packetScratch } from '../../src/relay/frame.ts';
import { answerHello, CLIENT_HELLO_SIZE, helloSender } from '../../src/relay/handshake.ts';

/** How a relay treats the packets between two clients: calls `deliver` as often as it likes. */
export type Manner = (data: Uint8Array, deliver: (data: Uint8Array) => void) => void;

interface Guest {
  readonly key: PublicKey;
  readonly opener: FrameOpener;
  readonly sealer: FrameSealer;
  readonly stream: Stream;
  readonly routes: KeyId[];
}

/** A TCP relay that speaks the protocol well and treats its clients ill. */
export class CrookedRelay implements Machine<ToxEvent> {
  readonly keys: KeyPair;
  readonly streams = new Streams();
  /** Answers every request as if the peer were there. */
  lies = false;
  manner: Manner = (data, deliver) => deliver(data);
  readonly #env: Env;
  readonly #guests = new Map<KeyId, Guest>();

  constructor(env: Env) {
    this.#env = env;
    this.keys = generateKeyPair(env);
    this.streams.onAccept = (_now, _from, stream) => {
      let hello = new Uint8Array(0);
      let guest: Guest | undefined;
      return {
        received: (_at, bytes) => {
          if (guest) {
            this.#read(guest, bytes);
            return;
          }
          hello = Uint8Array.of(...hello, ...bytes);
          if (hello.length < CLIENT_HELLO_SIZE) return;
          guest = this.#admit(hello.subarray(0, CLIENT_HELLO_SIZE), stream);
          const rest = hello.subarray(CLIENT_HELLO_SIZE);
          if (rest.length > 0) this.#read(guest, rest);
        },
        written: () => {},
        closed: () => {
          if (guest) this.#guests.delete(keyId(guest.key));
        },
      };
    };
  }

  /** To everyone who is logged in. */
  shout(make: (to: PublicKey) => RelayPacket): void {
    for (const guest of this.#guests.values()) this.#send(guest, make(guest.key));
  }

  receive(): void {}
  wake(_now: Mono): void {}
  nextWake(): undefined {}
  takeDatagram(): Datagram | undefined {
    return undefined;
  }
  takeEvent(): undefined {}

  #admit(hello: Uint8Array, stream: Stream): Guest {
    const key = helloSender(hello).slice() as PublicKey;
    const { answer, session } = answerHello(this.#env, sharedKey(key, this.keys.secretKey)!, hello)!;
    stream.write(answer.slice());
    const guest = {
      key,
      opener: new FrameOpener(session.key, session.receiveNonce, packetScratch()),
      sealer: new FrameSealer(session.key, session.sendNonce),
      stream,
      routes: [],
    };
    this.#guests.set(keyId(key), guest);
    return guest;
  }

  #read(guest: Guest, bytes: Uint8Array): void {
    guest.opener.push(bytes, (packet) => {
      if (packet[0]! >= FIRST_ROUTE_ID) this.#forward(guest, packet[0]!, packet.slice(1));
      else this.#answer(guest, decodeRelayPacket(packet.slice())!);
      return true;
    });
  }

  #answer(guest: Guest, packet: RelayPacket): void {
    if (packet.kind === 4) this.#send(guest, { kind: 5, pingId: packet.pingId });
    else if (packet.kind === 6) {
      const to = this.#guests.get(keyId(packet.peer));
      if (to && !this.lies) this.#send(to, { kind: 7, peer: guest.key, data: packet.data });
    } else if (packet.kind === 0) {
      const id = FIRST_ROUTE_ID + guest.routes.push(keyId(packet.peer)) - 1;
      this.#send(guest, { kind: 1, id, peer: packet.peer });
      const other = this.#guests.get(keyId(packet.peer));
      const back = other?.routes.indexOf(keyId(guest.key)) ?? -1;
      if (this.lies || back >= 0) this.#send(guest, { kind: 2, id });
      if (other && back >= 0) this.#send(other, { kind: 2, id: FIRST_ROUTE_ID + back });
    }
  }

  #forward(from: Guest, id: number, data: Uint8Array): void {
    const to = this.#guests.get(from.routes[id - FIRST_ROUTE_ID]!);
    const back = to?.routes.indexOf(keyId(from.key)) ?? -1;
    if (!to || back < 0 || this.lies) return;
    this.manner(data, (out) => this.#sendRaw(to, Uint8Array.of(FIRST_ROUTE_ID + back, ...out)));
  }

  #send(guest: Guest, packet: RelayPacket): void {
    this.#sendRaw(guest, encodeRelayPacket(packet));
  }

  #sendRaw(guest: Guest, packet: Uint8Array): void {
    guest.sealer.push(packet);
    guest.stream.write(guest.sealer.take()!);
  }
}
