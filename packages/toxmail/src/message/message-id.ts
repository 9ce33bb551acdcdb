import { randomBytes } from 'node:crypto';

/** RFC 5322 §3.6.4: unique, and tells nothing about the machine. */
export function newMessageId(): string {
  return `<${randomBytes(16).toString('hex')}@tox>`;
}
