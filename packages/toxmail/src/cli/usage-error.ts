/** Wrong usage of the command line or of config.toml: exit status 2. The message is one line that says what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
