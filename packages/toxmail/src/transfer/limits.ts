/** Limits of the mail transfer, all ours; docs/wire.md states those that the other side must know. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Transfers that a peer may have open towards us: enough to hide the disk's latency at 500 mails a second. */
export const OPEN_TRANSFERS = 64;
/** Mails up to this size come with their offer and stay in memory until they are whole. */
export const EAGER_LIMIT = 64 * KIB;
/** Bytes that any peer may always have on the way to our disk. Holds several eager mails. */
export const BASE_CREDIT = 512 * KIB;
/** The same while a large mail flows and the pool lasts: 4 MiB fill a path of 30 MiB/s with 130 ms of round trip. */
export const FULL_CREDIT = 4 * MIB;
/** What all peers together may hold above their base credit. */
export const CREDIT_POOL = 64 * MIB;
/** Large mails of one peer that flow at once; more wait for their `accept`. Each costs a file handle. */
export const LARGE_PER_PEER = 8;
/** Bytes that are written to the disk at once; fewer while the peer has only its base credit. */
export const WRITE_BLOCK = 256 * KIB;
/** Bytes that are read from the disk at once. */
export const READ_BLOCK = 128 * KIB;
/** What the large mails of one session together have read of their next bytes; each has two blocks, not below the least. */
export const LARGE_READ_AHEAD = 1 * MIB;
export const LARGE_READ_LEAST = 32 * KIB;
/** Small mails that are read before their turn to be sent, in bytes per peer. */
export const READ_AHEAD = 256 * KIB;
/** Mails written into the Maildir at once, per account: keeps the disk busy and the thread pool usable. */
export const STORING_AT_ONCE = 32;
/** Unfinished mails kept for one peer, and for how long: the sender's queue gives up after 30 days, most much sooner. */
export const PARTIALS_PER_PEER = 16;
export const PARTIAL_AGE_MS = 7 * 24 * 3_600_000;
/** Header sections above this are refused: they are edited in memory. */
export const HEADER_LIMIT = 256 * KIB;
/** Control packets that may wait for room in the session; a peer that makes us say more does not read. */
export const CONTROL_QUEUE = 1_024;
/** A peer that is online for so long without a hello uses an ordinary Tox program. */
export const HELLO_TIMEOUT_MS = 10_000;
/** With mails open and no word from the peer for so long, the attempt has failed. */
export const SILENCE_TIMEOUT_MS = 120_000;
/** A large mail that was accepted and brings no data for so long makes room for another. */
export const STALL_TIMEOUT_MS = 120_000;
/** Stored transfers that are remembered, per account. */
export const SEEN_MAX = 100_000;
export const SEEN_AGE_MS = 90 * 24 * 3_600_000;
