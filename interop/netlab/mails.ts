import { randomBytes } from 'node:crypto';

/** A mail of so many bytes, in lines as a mail program makes them. No two are alike, and none can be compressed. */
export function mailOf(bytes: number): Buffer {
  const lines = randomBytes(Math.ceil(bytes * 0.75))
    .toString('base64')
    .slice(0, bytes)
    .replace(/.{76}/g, '$&\r\n');
  return Buffer.from(`Subject: ${bytes} bytes\r\n\r\n${lines}\r\n`);
}

/** What must arrive as it was sent: the header is edited on its way. */
export function bodyOf(mail: Buffer): Buffer {
  return mail.subarray(mail.indexOf('\r\n\r\n') + 4);
}
