// Of the standards.

/** RFC 9051 §5.4: an autologout timer runs at least 30 minutes. */
export const IDLE_TIMEOUT_MS = 30 * 60_000;

// Ours.

/** RFC 9051 §5.4 lets a client that has not logged in wait less. */
export const LOGIN_TIMEOUT_MS = 3 * 60_000;
/** Octets of a command with its literals, a mail's text not counted. Clients send UID sets of tens of kilobytes. */
export const COMMAND_MAX = 256 * 1024;
/** The same before the log-in: names and passwords. */
export const LOGIN_COMMAND_MAX = 8 * 1024;
/** A literal that was refused is read and thrown away up to this size; a longer one ends the connection. */
export const DISCARD_MAX = 128 * 1024 * 1024;
export const LOGIN_DISCARD_MAX = 64 * 1024;
/** Octets of commands sent ahead; then we stop reading until they are done. */
export const PIPELINE_MAX = 64 * 1024;
/** Output is handed to the connection in pieces of about this size. */
export const PIECE = 64 * 1024;
/** Parentheses in search keys. */
export const SEARCH_DEPTH_MAX = 50;
/** A log-in that fails so often in one connection ends it. */
export const FAILURES_PER_CONNECTION = 3;
/** Bad commands in a row before the connection is closed. */
export const BAD_COMMANDS_MAX = 50;
/** Connections at once, in all and before their log-in. Programs keep five to ten each. */
export const CONNECTIONS_MAX = 500;
export const CONNECTIONS_UNKNOWN_MAX = 50;
