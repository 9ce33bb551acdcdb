import { createHmac, randomBytes, randomInt, scrypt, timingSafeEqual } from 'node:crypto';

/** scrypt (RFC 7914): 2^14 × 8 × 128 bytes = 16 MiB and some 40 ms each, which a Raspberry Pi can bear. */
const COST = { N: 2 ** 14, r: 8, p: 1 };
const HASH_SIZE = 32;
const SALT_SIZE = 16;
/** Longer ones are refused: nobody types them, and hashing them costs. */
export const PASSWORD_MAX = 256;
/** Hashes computed at once: they share the thread pool with the disk. */
const PARALLEL = 2;

/** `scrypt$N$r$p$salt$hash`, base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_SIZE);
  const hash = await limited(() => derive(password, salt, COST));
  return ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/**
 * Constant time in the password. `hash` undefined (no such account) costs the same and is false, so that the time tells
 * nobody which accounts exist.
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  if (password.length > PASSWORD_MAX) return false;
  const known = hash === undefined ? undefined : proofs.get(hash);
  if (known && timingSafeEqual(known, proof(password))) return true;
  const parsed = hash === undefined ? undefined : parse(hash);
  const salt = parsed?.salt ?? Buffer.alloc(SALT_SIZE);
  const derived = await limited(() => derive(password, salt, parsed?.cost ?? COST));
  if (!parsed || hash === undefined) return false;
  const right = timingSafeEqual(derived, parsed.hash);
  if (right) remember(hash, password);
  return right;
}

/** Letters and digits that cannot be taken for one another (no 0 o 1 l i). */
const READABLE = 'abcdefghjkmnpqrstuvwxyz23456789';
const GROUPS = 4;
const GROUP_SIZE = 4;

/** `k7wd-m2xq-9fhp-ta3c`: 16 of 31 signs, 79 bits. */
export function generatePassword(): string {
  const group = (): string =>
    Array.from({ length: GROUP_SIZE }, () => READABLE.charAt(randomInt(READABLE.length))).join('');
  return Array.from({ length: GROUPS }, group).join('-');
}

/**
 * Mail programs log in every few minutes; a keyed proof of a password that was right spares the next scrypt. Lives in
 * memory only, under a key of this process. Bounded: the oldest goes.
 */
const proofs = new Map<string, Buffer>();
const PROOFS_MAX = 256;
const proofKey = randomBytes(32);

function proof(password: string): Buffer {
  return createHmac('sha256', proofKey).update(password).digest();
}

function remember(hash: string, password: string): void {
  const oldest = proofs.keys().next();
  if (proofs.size >= PROOFS_MAX && !oldest.done) proofs.delete(oldest.value);
  proofs.set(hash, proof(password));
}

function parse(text: string): { cost: typeof COST; salt: Buffer; hash: Buffer } | undefined {
  const [kind, N, r, p, salt, hash] = text.split('$');
  if (kind !== 'scrypt' || !N || !r || !p || !salt || !hash) return undefined;
  const bytes = Buffer.from(hash, 'base64url');
  if (bytes.length !== HASH_SIZE) return undefined;
  return { cost: { N: Number(N), r: Number(r), p: Number(p) }, salt: Buffer.from(salt, 'base64url'), hash: bytes };
}

function derive(password: string, salt: Uint8Array, cost: typeof COST): Promise<Buffer> {
  const options = { ...cost, maxmem: 256 * cost.N * cost.r };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, HASH_SIZE, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

let running = 0;
const waiting: (() => void)[] = [];

async function limited<T>(work: () => Promise<T>): Promise<T> {
  if (running >= PARALLEL) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}
