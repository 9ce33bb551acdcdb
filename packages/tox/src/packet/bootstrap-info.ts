/** First byte of both the question and the answer (spec: Bootstrap node info). */
export const BOOTSTRAP_INFO = 0xf0;

const REQUEST_SIZE = 78;
const MAX_MOTD_SIZE = 256;

/** `version` is any u32; c-toxcore writes a date. `motd` is at most 256 bytes of UTF-8. */
export interface BootstrapInfo {
  readonly version: number;
  readonly motd: Uint8Array;
}

/** The content of the other 77 bytes means nothing. */
export function isBootstrapInfoRequest(data: Uint8Array): boolean {
  return data[0] === BOOTSTRAP_INFO && data.length === REQUEST_SIZE;
}

/** `0xf0 version u32 motd`, cut to 256 bytes. */
export function encodeBootstrapInfo(info: BootstrapInfo): Uint8Array {
  const motd = info.motd.subarray(0, MAX_MOTD_SIZE);
  const size = 5 + motd.length;
  // An answer as long as a request would be answered by another node in turn, for ever: one zero
  // byte more prevents that.
  const out = new Uint8Array(size === REQUEST_SIZE ? size + 1 : size);
  out[0] = BOOTSTRAP_INFO;
  new DataView(out.buffer).setUint32(1, info.version);
  out.set(motd, 5);
  return out;
}

export function decodeBootstrapInfo(data: Uint8Array): BootstrapInfo | undefined {
  if (data[0] !== BOOTSTRAP_INFO || data.length < 5 || data.length > 5 + MAX_MOTD_SIZE) return undefined;
  return { version: new DataView(data.buffer, data.byteOffset).getUint32(1), motd: data.slice(5) };
}
