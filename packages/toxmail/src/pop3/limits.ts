/** RFC 2449 §4: a command line has at most 255 octets with its CRLF; ours is wider for long log-ins. */
export const COMMAND_MAX = 512;
/** A line of the AUTH exchange: RFC 4616 names and passwords in base64. */
export const AUTH_LINE_MAX = 2_048;
/** RFC 1939 §3: at least 10 minutes. */
export const IDLE_TIMEOUT_MS = 10 * 60_000;
/** Ours: commands that a client may send ahead, in bytes; then we stop reading until they are done. */
export const PIPELINE_MAX = 16 * 1024;
/** Ours: a mail is read and sent in pieces of this size. */
export const CHUNK = 64 * 1024;
/** … and at least this, should the size in a name be wrong. */
export const CHUNK_MIN = 4 * 1024;
/** Ours: a log-in that fails so often in one connection ends it. */
export const FAILURES_PER_CONNECTION = 3;
/** Ours: bad commands in a row before the connection is closed. */
export const BAD_COMMANDS_MAX = 20;
/** Ours: connections at once, in all and before their log-in. */
export const CONNECTIONS_MAX = 200;
export const CONNECTIONS_UNKNOWN_MAX = 50;
