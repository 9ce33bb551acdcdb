import { formatToxId, makeToxId, type Nospam } from '@toxmail/tox/id';

/** A valid Tox ID (76 hex) made of one byte. */
export function toxIdOf(byte: number): string {
  const key = Buffer.alloc(32, byte) as Uint8Array as Parameters<typeof makeToxId>[0];
  return formatToxId(makeToxId(key, Buffer.alloc(4, byte) as Uint8Array as Nospam));
}

export const MUM_ID = toxIdOf(0x11);
export const TOM_ID = toxIdOf(0x22);
export const ANNA_ID = toxIdOf(0x33);
export const BOB_ID = toxIdOf(0x44);
