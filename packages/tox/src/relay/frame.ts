import type { Nonce, SharedKey } from '../crypto/keys.ts';
import { MAC_SIZE } from '../crypto/keys.ts';
import { incrementNonce } from '../crypto/nonce.ts';
import { openInto, sealInto } from '../crypto/sodium.ts';
import { MAX_FRAME_SIZE, MAX_RELAY_PACKET_SIZE } from '../packet/relay.ts';

// spec: TCP client, TCP server. `length u16 E(session key, nonce){ packet }`: the length counts the
// box, MAC included, and is at most 2048. Each side counts its own nonce up by one for each frame,
// beginning with the one that it named in the handshake.

const LENGTH_SIZE = 2;

/** What a frame adds to a packet; bytes. */
export const FRAME_OVERHEAD = LENGTH_SIZE + MAC_SIZE;

/** Room for one opened packet; may be shared by all openers of one thread, as a packet is a view of it. */
export function packetScratch(): Uint8Array {
  return new Uint8Array(MAX_RELAY_PACKET_SIZE);
}

/** Cuts a byte stream into frames and opens them. Keeps at most one frame, and nothing between two. */
export class FrameOpener {
  readonly #key: SharedKey;
  readonly #nonce: Nonce;
  readonly #scratch: Uint8Array;
  #partial: Uint8Array | undefined;
  #have = 0;

  /** `nonce` is the opener's from now on. */
  constructor(key: SharedKey, nonce: Nonce, scratch: Uint8Array) {
    this.#key = key;
    this.#nonce = nonce;
    this.#scratch = scratch;
  }

  /**
   * Takes the next bytes and hands on each packet (never empty) that is whole by then, as a view that
   * is valid during the call; `onPacket` returns false to stop. False if it did, or at a wrong length
   * or a box that does not open: the stream is then useless.
   */
  push(bytes: Uint8Array, onPacket: (packet: Uint8Array) => boolean): boolean {
    let at = 0;
    while (at < bytes.length) {
      const partial = this.#partial;
      if (partial) {
        // Of a frame cut in two, first the length, then the rest.
        const want = this.#have < LENGTH_SIZE ? LENGTH_SIZE : LENGTH_SIZE + frameLength(partial, 0);
        const taken = Math.min(want - this.#have, bytes.length - at);
        partial.set(bytes.subarray(at, at + taken), this.#have);
        this.#have += taken;
        at += taken;
        if (this.#have < LENGTH_SIZE) return true;
        const length = frameLength(partial, 0);
        if (!isFrameLength(length)) return false;
        if (this.#have < LENGTH_SIZE + length) continue;
        this.#partial = undefined;
        if (!this.#open(partial.subarray(LENGTH_SIZE, LENGTH_SIZE + length), onPacket)) return false;
        continue;
      }
      const left = bytes.length - at;
      const length = left < LENGTH_SIZE ? undefined : frameLength(bytes, at);
      if (length !== undefined && !isFrameLength(length)) return false;
      if (length === undefined || left < LENGTH_SIZE + length) {
        this.#partial = new Uint8Array(LENGTH_SIZE + (length ?? MAX_FRAME_SIZE));
        this.#partial.set(bytes.subarray(at));
        this.#have = left;
        return true;
      }
      const box = bytes.subarray(at + LENGTH_SIZE, at + LENGTH_SIZE + length);
      at += LENGTH_SIZE + length;
      if (!this.#open(box, onPacket)) return false;
    }
    return true;
  }

  #open(box: Uint8Array, onPacket: (packet: Uint8Array) => boolean): boolean {
    const packet = this.#scratch.subarray(0, box.length - MAC_SIZE);
    if (!openInto(packet, this.#key, this.#nonce, box)) return false;
    incrementNonce(this.#nonce);
    return onPacket(packet);
  }
}

/** An empty packet means nothing, so its frame is as wrong as one that is too large. */
function isFrameLength(length: number): boolean {
  return length > MAC_SIZE && length <= MAX_FRAME_SIZE;
}

function frameLength(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

/** First room for frames that wait; it doubles as needed, so that an idle connection costs nothing. */
const FIRST_ROOM = 256;

/**
 * Seals packets into frames and gathers them until the owner fetches them for the stream. Its owner
 * bounds it: `queued` says what waits here.
 */
export class FrameSealer {
  readonly #key: SharedKey;
  readonly #nonce: Nonce;
  #out: Uint8Array | undefined;
  #size = 0;

  /** `nonce` is the sealer's from now on. */
  constructor(key: SharedKey, nonce: Nonce) {
    this.#key = key;
    this.#nonce = nonce;
  }

  /** Bytes that wait to be taken. */
  get queued(): number {
    return this.#size;
  }

  /** `packet` has 1..2032 bytes; anything else is a bug of ours. */
  push(packet: Uint8Array): void {
    if (packet.length === 0 || packet.length > MAX_RELAY_PACKET_SIZE) throw new RangeError('not a relay packet');
    const length = packet.length + MAC_SIZE;
    const out = this.#room(LENGTH_SIZE + length);
    const start = this.#size;
    out[start] = length >>> 8;
    out[start + 1] = length;
    this.#size = start + LENGTH_SIZE + length;
    sealInto(out.subarray(start + LENGTH_SIZE, this.#size), this.#key, this.#nonce, packet);
    incrementNonce(this.#nonce);
  }

  /** All frames since the last call, as one array that is the caller's. */
  take(): Uint8Array | undefined {
    const out = this.#out?.subarray(0, this.#size);
    this.#out = undefined;
    this.#size = 0;
    return out;
  }

  #room(size: number): Uint8Array {
    const out = this.#out;
    if (out && this.#size + size <= out.length) return out;
    const bigger = new Uint8Array(Math.max(FIRST_ROOM, this.#size * 2, this.#size + size));
    if (out) bigger.set(out.subarray(0, this.#size));
    this.#out = bigger;
    return bigger;
  }
}
