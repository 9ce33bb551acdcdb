import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint, subjectOf } from './household.ts';

// A Maildir as another program on the same disk edits it: files are made, renamed and removed, nobody is told.

export interface MailFact {
  readonly subject: string | undefined;
  readonly flags: readonly string[];
}

const FLAGS: Record<string, string> = { D: '\\Draft', F: '\\Flagged', R: '\\Answered', S: '\\Seen' };

/** `folders`: where the Maildir of each folder is. */
export function maildirState(folders: Readonly<Record<string, string>>): Record<string, MailFact[]> {
  return Object.fromEntries(
    Object.entries(folders).map(([name, path]) => [
      name,
      filesOf(path).map((file) => ({ subject: subjectOf(readFileSync(file)), flags: flagsOf(file) })),
    ]),
  );
}

/** Mails in an order that does not depend on where they are kept; without keywords, which Maildir programs do not share. */
export function comparable(state: Readonly<Record<string, readonly MailFact[]>>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(state)
      .map(
        ([name, mails]) =>
          [
            name,
            mails.map(
              ({ subject, flags }) =>
                `${subject}: ${flags
                  .filter((flag) => flag.startsWith('\\'))
                  .toSorted()
                  .join(' ')}`,
            ),
          ] as const,
      )
      .map(([name, mails]) => [name, mails.toSorted()]),
  );
}

export function findMail(maildir: string, subject: string): string {
  const found = filesOf(maildir).find((file) => subjectOf(readFileSync(file)) === subject);
  if (found === undefined) throw new Error(`no mail "${subject}" in ${maildir}`);
  return found;
}

/** `letters`: of D, F, R and S. Others stay: T is set by somebody who deletes, small ones are keywords. */
export function setFlags(maildir: string, subject: string, letters: string): void {
  const file = findMail(maildir, subject);
  const others = (/:2,(.*)$/.exec(file)?.[1] ?? '').replace(/[DFRS]/g, '');
  renameSync(file, join(maildir, 'cur', `${baseOf(file)}:2,${[...letters, ...others].sort().join('')}`));
}

export function removeMail(maildir: string, subject: string): void {
  rmSync(findMail(maildir, subject));
}

/** Under a name of its own there, as Maildir asks for. */
export function moveMail(from: string, to: string, subject: string): void {
  const file = findMail(from, subject);
  const letters = /:2,([A-Z]*)/.exec(file)?.[1] ?? '';
  renameSync(file, join(to, 'cur', `${unique()}:2,${letters}`));
}

export function addMail(maildir: string, subject: string): void {
  const name = unique();
  const path = join(maildir, 'tmp', name);
  writeFileSync(path, `From: me@tox\nSubject: ${subject}\nMessage-ID: <${name}>\n\nfrom the Maildir\n`);
  renameSync(path, join(maildir, 'new', name));
}

function filesOf(maildir: string): string[] {
  return ['new', 'cur']
    .map((name) => join(maildir, name))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
}

function flagsOf(file: string): string[] {
  const letters = /:2,([A-Za-z]*)$/.exec(file)?.[1] ?? '';
  return [...letters].flatMap((letter) => FLAGS[letter] ?? []);
}

function baseOf(file: string): string {
  return file
    .split('/')
    .at(-1)!
    .replace(/:2,.*$/, '');
}

let count = 0;

function unique(): string {
  count++;
  return `${Math.floor(Date.now() / 1000)}.${fingerprint(String(count)).slice(-8)}_${process.pid}_${count}.other`;
}
