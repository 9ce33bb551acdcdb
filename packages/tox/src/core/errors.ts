/** Why a call on the public surface was refused. Bad bytes from a peer are never an exception. */
export type ToxErrorKind =
  | 'bad-argument' // a length, range or format the protocol does not allow
  | 'bad-save' // save data that cannot be read or decrypted
  | 'unknown-friend'
  | 'friend-offline'
  | 'already-friend'
  | 'own-id' // one cannot befriend oneself
  | 'unknown-file'
  | 'limit' // a table of fixed size is full
  | 'closed'
  | 'port-in-use'
  | 'relay-port-in-use'; // none of the TCP ports is free and permitted

export class ToxError extends Error {
  override readonly name = 'ToxError';
  readonly kind: ToxErrorKind;

  constructor(kind: ToxErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
