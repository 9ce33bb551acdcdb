import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Login, succeeds } from './household.ts';

export interface MbsyncBox {
  /** Of the folders INBOX and Work. */
  maildir(name: string): string;
  /** One run, both ways. */
  sync(): Promise<string>;
}

/** The folders INBOX and Work of an account, kept in Maildirs below `path` by mbsync. */
export function mbsyncBox(path: string, { user, password, imaps, ca }: Login): MbsyncBox {
  const mail = join(path, 'mail');
  const settings = `
IMAPAccount toxmail
Host localhost
Port ${imaps}
User ${user}
Pass ${password}
SSLType IMAPS
CertificateFile ${ca}

IMAPStore far
Account toxmail

MaildirStore near
Path ${mail}/
Inbox ${mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX Work
Create Both
Expunge Both
SyncState *
`;
  mkdirSync(mail);
  writeFileSync(join(path, 'mbsyncrc'), settings, { mode: 0o600 });
  return {
    maildir: (name) => join(mail, name),
    sync: () => succeeds(path, 'mbsync', ['-c', 'mbsyncrc', '-a', '-q']),
  };
}
