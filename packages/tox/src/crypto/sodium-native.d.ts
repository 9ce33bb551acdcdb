// The part of sodium-native 5 that we use; the package ships no types.
declare module 'sodium-native' {
  const sodium: {
    crypto_scalarmult_base(out: Uint8Array, secretKey: Uint8Array): void;
    crypto_scalarmult(out: Uint8Array, secretKey: Uint8Array, publicKey: Uint8Array): void;
    crypto_secretbox_easy(out: Uint8Array, plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
    crypto_secretbox_open_easy(out: Uint8Array, box: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
    crypto_auth(out: Uint8Array, message: Uint8Array, key: Uint8Array): void;
    crypto_hash_sha256(out: Uint8Array, message: Uint8Array): void;
    crypto_hash_sha512(out: Uint8Array, message: Uint8Array): void;
    crypto_pwhash_scryptsalsa208sha256(
      out: Uint8Array,
      password: Uint8Array,
      salt: Uint8Array,
      opslimit: number,
      memlimit: number,
    ): void;
    sodium_memcmp(a: Uint8Array, b: Uint8Array): boolean;
    sodium_memzero(buffer: Uint8Array): void;
    randombytes_buf(out: Uint8Array): void;
  };
  export default sodium;
}
