import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../packages/tox/src/testing/random.ts';
import { programsMissing } from '../mail-server/programs.ts';
import { household, loginOf, python } from './household.ts';
import { addMail, comparable, maildirState, moveMail, removeMail, setFlags } from './maildir-edits.ts';
import { mbsyncBox } from './mbsync.ts';

const skip = await programsMissing('python3', 'mbsync');
/** In CI; ten minutes by hand: TOXMAIL_FUZZ_SECONDS=600 npm run interop -- interop/clients/concurrent.test.ts */
const SECONDS = Number(process.env.TOXMAIL_FUZZ_SECONDS ?? 40);
const SEED = Number(process.env.TOXMAIL_FUZZ_SEED ?? 1);
const FOLDERS = ['INBOX', 'Work'];

/** Edits Maildirs: adds, flags, and of its own mails moves and deletes. `place`: where each of them is, or that it is gone. */
class MaildirEditor {
  readonly place = new Map<string, string | undefined>();
  edits = 0;
  readonly #name: string;
  readonly #folders: Readonly<Record<string, string>>;
  readonly #dice: () => number;

  constructor(name: string, folders: Readonly<Record<string, string>>, seed: number) {
    this.#name = name;
    this.#folders = folders;
    this.#dice = seededRandom(seed);
  }

  edit(): void {
    this.edits++;
    const own = [...this.place].filter(([, folder]) => folder !== undefined);
    const what = this.#dice();
    const [subject, folder] = own[Math.floor(this.#dice() * own.length)] ?? [];
    if (what < 0.3 || subject === undefined || folder === undefined) {
      const fresh = `${this.#name} ${this.place.size}`;
      const into = FOLDERS[Math.floor(this.#dice() * FOLDERS.length)]!;
      addMail(this.#folders[into]!, `${fresh}.`);
      this.place.set(fresh, into);
    } else if (what < 0.4) {
      const other = FOLDERS.find((each) => each !== folder)!;
      if (gone(() => moveMail(this.#folders[folder]!, this.#folders[other]!, `${subject}.`))) return;
      this.place.set(subject, other);
    } else if (what < 0.5) {
      if (gone(() => removeMail(this.#folders[folder]!, `${subject}.`))) return;
      this.place.set(subject, undefined);
    } else {
      const at = FOLDERS[Math.floor(this.#dice() * FOLDERS.length)]!;
      const [which, how] = [this.#dice(), this.#dice()];
      gone(() => {
        const mails = maildirState({ at: this.#folders[at]! }).at ?? [];
        const any = mails[Math.floor(which * mails.length)]?.subject;
        if (any !== undefined) setFlags(this.#folders[at]!, any, ['', 'S', 'F', 'FS', 'RS'][Math.floor(how * 5)]!);
      });
    }
  }
}

/** True if another program renamed the file between our looking and our doing, as may happen in any Maildir. */
function gone(act: () => void): boolean {
  try {
    act();
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || /^no mail/.test((error as Error).message)) return true;
    throw error;
  }
}

test('three programs that edit one mailbox at the same time end with the same mails, none lost, none doubled', {
  skip,
  timeout: (SECONDS + 120) * 1_000,
}, async (t) => {
  const people = await household();
  try {
    const { bob, folder } = people;
    const login = loginOf(bob);
    await python(folder, 'imap_fill.py', {
      ...login,
      folders: { INBOX: [], Work: [] },
      kept: ['INBOX', 'Sent', 'Drafts', 'Trash', 'Junk', 'Archive'],
    });
    const root = join(bob.toxmail.data, 'accounts', 'bob', 'Maildir');
    const onServer = { INBOX: root, Work: join(root, '.Work') };
    const { maildir, sync } = mbsyncBox(folder, login);
    const synced = { INBOX: maildir('INBOX'), Work: maildir('Work') };
    await sync();

    const deadline = performance.now() + SECONDS * 1_000;
    const offline = new MaildirEditor('offline', synced, SEED);
    const beside = new MaildirEditor('beside', onServer, SEED + 1);
    const online = python(
      folder,
      'imap_editor.py',
      { ...login, folders: FOLDERS, seconds: SECONDS, seed: SEED + 2 },
      SECONDS + 60,
    );
    const [{ edits, place }] = await Promise.all([
      online,
      (async () => {
        while (performance.now() < deadline) {
          for (let i = 0; i < 10; i++) offline.edit();
          await sync();
        }
      })(),
      (async () => {
        while (performance.now() < deadline) {
          beside.edit();
          await sleep(50);
        }
      })(),
    ]);
    for (let i = 0; i < 3; i++) await sync(); // what one run changes on a side, the next may bring to the other

    const { INBOX, Work } = await python(folder, 'imap_state.py', login);
    const server = comparable({ INBOX, Work });
    assert.deepEqual(comparable(maildirState(onServer)), server, 'the Maildir on the disk and the server');
    assert.deepEqual(comparable(maildirState(synced)), server, 'the Maildir that mbsync keeps and the server');
    const expected = [...Object.entries<string | null>(place), ...offline.place, ...beside.place];
    for (const name of FOLDERS) {
      const subjects = { INBOX, Work }[name as 'INBOX' | 'Work']
        .map(({ subject }: { subject: string }) => subject)
        .toSorted();
      const own = expected.filter(([, at]) => at === name).map(([subject]) => `${subject}.`);
      assert.deepEqual(subjects, own.toSorted(), name);
    }
    t.diagnostic(`${edits} edits over IMAP, ${offline.edits} offline, ${beside.edits} in the Maildir; seed ${SEED}`);
  } finally {
    await people.end();
  }
});
