import { generateKeyPair, type PublicKey } from '../../src/crypto/keys.ts';
import type { ToxEvent } from '../../src/messenger/events.ts';
import type { FriendRecord } from '../../src/messenger/friend-record.ts';
import { type FriendLinks, Messenger } from '../../src/messenger/messenger.ts';
import type { Nospam } from '../../src/messenger/tox-id.ts';
import type { FriendRequestBody } from '../../src/packet/friend.ts';
import { testEnv } from '../../src/testing/test-env.ts';

/** One end of a reliable session in memory, with a window of so many packets. */
export class End implements FriendLinks {
  readonly key: PublicKey;
  readonly messenger: Messenger;
  /** All events so far, in order. */
  readonly events: ToxEvent[] = [];
  /** Every packet that this end sent. */
  readonly sent: Uint8Array[] = [];
  /** What an application would do; called with each event after the call that led to it. */
  onEvent: (event: ToxEvent) => void = () => {};
  peer!: End;
  window = 32;
  connected = false;
  request: FriendRequestBody | undefined;
  removed = false;
  #air: Uint8Array[] = [];
  #next: number;
  #acknowledged: number;
  #refused = false;
  #handled = 0;

  constructor(seed: number, firstNumber = 0) {
    const env = testEnv(seed);
    this.key = generateKeyPair(env).publicKey;
    this.#next = firstNumber;
    this.#acknowledged = firstNumber;
    const empty = new Uint8Array(0);
    this.messenger = new Messenger(env, {
      now: 0,
      ownKey: this.key,
      profile: { nospam: env.random(4) as Nospam, name: empty, statusMessage: empty, status: 'none', friends: [] },
      links: this,
      emit: (event) => this.events.push(event),
    });
  }

  add(_now: number, _key: PublicKey, request?: FriendRequestBody): void {
    this.request = request;
  }

  remove(): void {
    this.removed = true;
  }

  path(): 'direct' {
    return 'direct';
  }

  setRequest(_now: number, _key: PublicKey, request: FriendRequestBody | undefined): void {
    this.request = request;
  }

  sendLossless(_now: number, _key: PublicKey, data: Uint8Array): number | undefined {
    if (!this.connected) return undefined;
    if ((this.#next - this.#acknowledged) >>> 0 >= this.window) {
      this.#refused = true;
      return undefined;
    }
    this.#air.push(data.slice());
    this.sent.push(data.slice());
    const number = this.#next;
    this.#next = (this.#next + 1) >>> 0;
    return number;
  }

  sendLossy(now: number, _key: PublicKey, data: Uint8Array): boolean {
    this.peer.messenger.onLossy(now, this.key, data);
    return true;
  }

  /** What this end sent arrives, as views that are gone after the call. True if anything happened. */
  deliver(): boolean {
    const packets = this.#air;
    this.#air = [];
    for (const packet of packets) {
      this.peer.messenger.onLossless(0, this.key, packet);
      packet.fill(0xee);
    }
    return packets.length > 0;
  }

  /** The peer's acknowledgement of all that was delivered arrives. */
  acknowledge(): boolean {
    const upTo = (this.#next - this.#air.length) >>> 0;
    if (upTo === this.#acknowledged) return false;
    this.#acknowledged = upTo;
    this.messenger.onAcknowledged(0, this.peer.key, upTo);
    if (this.#refused) {
      this.#refused = false;
      this.messenger.onWritable(0, this.peer.key);
    }
    return true;
  }

  /** Hands new events to the application. */
  handle(): boolean {
    const before = this.#handled;
    while (this.#handled < this.events.length) this.onEvent(this.events[this.#handled++]!);
    return this.#handled > before;
  }

  of<T extends ToxEvent['type']>(type: T): Extract<ToxEvent, { type: T }>[] {
    return this.events.filter((event) => event.type === type) as Extract<ToxEvent, { type: T }>[];
  }
}

export class Pair {
  readonly a: End;
  readonly b: End;

  /** Two friends, connected and online unless told otherwise. */
  constructor(options: { firstNumber?: number; connect?: boolean } = {}) {
    this.a = new End(1, options.firstNumber);
    this.b = new End(2, options.firstNumber);
    this.a.peer = this.b;
    this.b.peer = this.a;
    this.a.messenger.acceptFriend(0, this.b.key);
    this.b.messenger.acceptFriend(0, this.a.key);
    if (options.connect ?? true) this.connect();
  }

  connect(): void {
    for (const end of [this.a, this.b]) end.connected = true;
    for (const end of [this.a, this.b]) end.messenger.onConnected(0, end.peer.key);
    this.run();
  }

  disconnect(): void {
    for (const end of [this.a, this.b]) end.connected = false;
    for (const end of [this.a, this.b]) end.messenger.onDisconnected(0, end.peer.key);
    this.run();
  }

  /** Until nothing moves any more. */
  run(): void {
    for (let turn = 0; turn < 100_000; turn++) {
      const moved = [this.a, this.b].map((end) => {
        const app = end.handle();
        return end.deliver() || end.acknowledge() || app;
      });
      if (!moved.includes(true)) return;
    }
    throw new Error('the pair never comes to rest');
  }
}

/** An application that accepts what is offered, from `start`, and collects it. */
export function receiver(end: End, start = 0): { readonly bytes: () => Uint8Array } {
  const parts: Uint8Array[] = [];
  let next = start;
  end.onEvent = (event) => {
    if (event.type === 'file-offer') {
      if (start > 0) end.messenger.fileSeek(0, event.friend, event.file, start);
      end.messenger.fileControl(0, event.friend, event.file, 'resume');
    } else if (event.type === 'file-data') {
      if (event.position !== next) throw new Error(`expected byte ${next}, got ${event.position}`);
      next += event.data.length;
      parts.push(event.data);
    }
  };
  return { bytes: () => new Uint8Array(Buffer.concat(parts)) };
}

/** An application that sends `content` in writes of at most `step` bytes, and ends a stream. */
export function sender(end: End, content: Uint8Array, options: { step?: number; stream?: boolean } = {}): void {
  const step = options.step ?? content.length;
  end.onEvent = (event) => {
    if (event.type !== 'file-writable') return;
    let at = event.position;
    while (at < content.length) {
      const part = content.subarray(at, at + step);
      const taken = end.messenger.fileWrite(0, event.friend, event.file, part);
      at += taken;
      if (taken < part.length) return;
    }
    if (options.stream) end.messenger.fileEnd(0, event.friend, event.file);
  };
}

export function friendRecord(publicKey: PublicKey): FriendRecord {
  const empty = new Uint8Array(0);
  return { publicKey, request: undefined, name: empty, statusMessage: empty, status: 'none', lastSeen: 0n };
}
