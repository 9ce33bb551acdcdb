/** True if `a` is nearer to `target` than `b` by the XOR metric (big endian); all 32 bytes. */
export function isNearer(target: Uint8Array, a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < target.length; i++) {
    const da = target[i]! ^ a[i]!;
    const db = target[i]! ^ b[i]!;
    if (da !== db) return da < db;
  }
  return false;
}
