/** A request that cannot be done; `message` is one line that tells a person what to do. Never a bug of ours. */
export class UserError extends Error {
  override readonly name = 'UserError';
}
