// The mailbox of bench/imap.ts: mails as a person has them, the same at each run.
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../packages/tox/src/testing/random.ts';

const WORDS =
  'the of and mail server list please meeting report attached invoice friend network message tomorrow update review change question answer project release date number budget travel lunch photo house garden train ticket music radio winter summer evening'.split(
    ' ',
  );
const START = 1_700_000_000;
const TEXT_BYTES = 2_300;
/** Words in one mail of a thousand, which searches look for. */
export const RARE = { sender: 'rare@example.org', word: 'zebra17' } as const;

/** `count` mails of about 3 KB in `cur/`, four of five read, three of ten with an HTML part. Resolves with their bytes. */
export function fillMaildir(maildir: string, count: number): number {
  for (const name of ['tmp', 'new', 'cur']) mkdirSync(join(maildir, name), { recursive: true });
  const dice = seededRandom(7);
  const texts = Array.from({ length: 200 }, () => text(dice));
  let total = 0;
  for (let i = 0; i < count; i++) {
    const bytes = Buffer.from(mail(i, texts[i % texts.length]!, dice));
    const seconds = START + i * 60;
    const wire = bytes.length + bytes.filter((byte) => byte === 0x0a).length;
    const path = join(maildir, 'cur', `${seconds}.M${i}P1.bench,S=${bytes.length},W=${wire}:2,${i % 5 ? 'S' : ''}`);
    writeFileSync(path, bytes, { mode: 0o600 });
    utimesSync(path, seconds, seconds);
    total += bytes.length;
  }
  return total;
}

function mail(i: number, body: string, dice: () => number): string {
  const date = new Date((START + i * 60) * 1_000).toUTCString().replace('GMT', '+0000');
  const who = i % 1_000 === 500 ? RARE.sender : `user${i % 97}@example.org`;
  const word = i % 1_000 === 700 ? ` ${RARE.word}\n` : '\n';
  const subject = Array.from({ length: 6 }, () => pick(dice)).join(' ');
  const header = [
    `Return-Path: <${who}>`,
    `Received: from relay.example.org (relay.example.org [192.0.2.7])\n\tby mx.example.net with ESMTPS id ${i};\n\t${date}`,
    `From: "User Number ${i % 97}" <${who}>`,
    `To: Me <me@example.net>, other${i % 31}@example.net`,
    `Subject: ${subject} ${i}`,
    `Date: ${date}`,
    `Message-ID: <${i}.bench@example.org>`,
    ...(i % 4 === 0 ? [`In-Reply-To: <${i - 1}.bench@example.org>`, `References: <${i - 1}.bench@example.org>`] : []),
    'MIME-Version: 1.0',
  ].join('\n');
  if (i % 10 < 7) return `${header}\nContent-Type: text/plain; charset=utf-8\n\n${body}${word}`;
  const half = body.slice(0, TEXT_BYTES / 2);
  return `${header}\nContent-Type: multipart/alternative; boundary="b${i}"

--b${i}
Content-Type: text/plain; charset=utf-8

${half}${word}--b${i}
Content-Type: text/html; charset=utf-8

<p>${half}</p>
--b${i}--
`;
}

function text(dice: () => number): string {
  let out = '';
  let line = '';
  while (out.length < TEXT_BYTES) {
    line += `${pick(dice)} `;
    if (line.length > 66) {
      out += `${line.trimEnd()}\n`;
      line = '';
    }
  }
  return out;
}

function pick(dice: () => number): string {
  return WORDS[Math.floor(dice() * WORDS.length)]!;
}
