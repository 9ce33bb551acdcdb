import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { canonicalAddress } from '../contacts/address.ts';
import type { Maildir } from '../maildir/maildir.ts';
import { formatDate } from '../message/date-time.ts';
import { newMessageId } from '../message/message-id.ts';
import type { Account, Accounts } from '../store/accounts.ts';
import { escaped } from '../web/xml.ts';

/** In the name of the mail's file: a start after a crash sees that it is there already. */
const TOKEN = '77656c636f6d65';

/** Puts the welcome mail into the inbox of an account that has not had it. `page`: address of the web page. */
export async function welcome(
  account: Account,
  maildir: Maildir,
  accounts: Accounts,
  clock: Clock,
  page: string,
): Promise<void> {
  if (account.welcomed || account.toxId === undefined) return;
  if (!(await maildir.list()).some((mail) => mail.token === TOKEN)) {
    const writer = await maildir.create(TOKEN);
    try {
      await writer.append(Buffer.from(welcomeMail(account.name, account.toxId, page, clock.unixMs())));
      await writer.commit();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }
  accounts.setWelcomed(account.name);
}

/** Text and the same as simple HTML: nothing is fetched from elsewhere. */
export function welcomeMail(name: string, toxId: string, page: string, unixMs: number): string {
  const boundary = `=_${randomBytes(12).toString('hex')}`;
  const address = canonicalAddress(toxId);
  const parts = paragraphs(name, address, page);
  return [
    'Return-Path: <>',
    `Delivered-To: ${name}@tox`,
    'From: Toxmail <mailer-daemon@tox>',
    `To: <${name}@tox>`,
    'Subject: Welcome to Toxmail',
    `Date: ${formatDate(unixMs)}`,
    `Message-ID: ${newMessageId()}`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    `Content-Type: multipart/alternative; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    ...parts.flatMap(({ text, literal }) => [...text, ...(literal ? ['', `    ${literal}`] : []), '']),
    `--${boundary}`,
    'Content-Type: text/html; charset=us-ascii',
    '',
    '<!DOCTYPE html><html lang="en"><body>',
    ...parts.flatMap(({ text, literal }) => [
      `<p>${text.map(escaped).join('\r\n')}</p>`,
      ...(literal ? [`<pre>${escaped(literal)}</pre>`] : []),
    ]),
    '</body></html>',
    `--${boundary}--`,
    '',
  ].join('\r\n');
}

interface Paragraph {
  /** Lines of ASCII. */
  readonly text: readonly string[];
  /** What is to be copied or typed. */
  readonly literal?: string;
}

function paragraphs(name: string, address: string, page: string): Paragraph[] {
  return [
    {
      text: [
        'Hello,',
        'this mailbox has no provider. What you write goes straight from the computer that',
        'runs Toxmail to those of the people you write to, encrypted all the way.',
      ],
    },
    { text: ['This is your address. Give it to people who want to write to you:'], literal: address },
    {
      text: [
        'To write to somebody you need their address, and they need yours: each adds the',
        'other once. On the computer that runs Toxmail (NAME is any name you like):',
      ],
      literal: `toxmail contact add NAME ADDRESS --account ${name}`,
    },
    {
      text: [
        'From then on write to NAME@tox (or NAME@tox.alt, if your program wants a dot).',
        'Those who added you first are shown, and accepted, by:',
      ],
      literal: 'toxmail request list',
    },
    {
      text: [
        'A mail arrives when both computers are on. Until then it waits on yours, and you',
        'are told when it takes long. Nothing is lost when a computer is switched off.',
      ],
    },
    { text: ['Settings for more mail programs, to be opened on that computer:'], literal: page },
  ];
}
