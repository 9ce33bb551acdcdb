import { KEY_SIZE, type PublicKey } from '../crypto/keys.ts';

/** `0x21 DHT key(32)`, broadcast on a LAN, unauthenticated (spec: LAN discovery). */
export const LAN_DISCOVERY = 0x21;

export function encodeLanDiscovery(publicKey: PublicKey): Uint8Array {
  const data = new Uint8Array(1 + KEY_SIZE);
  data[0] = LAN_DISCOVERY;
  data.set(publicKey, 1);
  return data;
}

/** A copy of the sender's claimed DHT key. */
export function decodeLanDiscovery(data: Uint8Array): PublicKey | undefined {
  return data[0] === LAN_DISCOVERY && data.length === 1 + KEY_SIZE ? (data.slice(1) as PublicKey) : undefined;
}
