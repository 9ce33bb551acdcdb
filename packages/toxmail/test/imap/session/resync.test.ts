import assert from 'node:assert/strict';
import { readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '../../../../tox/src/testing/random.ts';
import { systemScheduler } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { IndexThread } from '../../../src/mailbox/index/index-client.ts';
import { FailingFiles } from '../../../src/testing/failing-files.ts';
import { settle } from '../../../src/testing/virtual-scheduler.ts';
import { Box, mail, unsynced } from '../../mailbox/harness.ts';
import { type Client, ImapBox } from '../script.ts';

const SEED = Number(process.env.TOXMAIL_FUZZ_SEED ?? 1);
const ROUNDS = 12;
const FLAGS = ['\\Seen', '\\Flagged', '\\Answered', '\\Deleted', 'Work'];

/** A mail program with a cache, which believes what it is told and asks for nothing twice. */
class Program {
  readonly name: string;
  /** RFC 7162: comes back with what it knows, instead of asking for all. */
  readonly #quick: boolean;
  #client: Client | undefined;
  #tag = 0;
  /** By position; 0: not asked yet. */
  #uids: number[] = [];
  /** By UID. */
  flags = new Map<number, string>();
  #validity = '';
  #modSeq = 0;
  #heard = 0;
  /** So often it was told how many mails there are, since it asked for new ones. */
  #fresh = 0;
  /** Up to this UID it has asked for all. */
  #upto = 0;

  constructor(name: string, quick: boolean) {
    this.name = name;
    this.#quick = quick;
  }

  async connect(box: ImapBox<never>): Promise<void> {
    if (this.#client) return;
    const client = await box.logIn(...(this.#quick ? ['QRESYNC'] : []));
    this.#client = client;
    this.#uids = [];
    if (!this.#quick) this.flags.clear();
    const known = this.#quick && this.#modSeq > 0;
    await this.run(known ? `SELECT INBOX (QRESYNC (${this.#validity} ${this.#modSeq}))` : 'SELECT INBOX');
    if (!known) await this.run('UID FETCH 1:* FLAGS');
  }

  /** The line breaks: what was not told to its end is not relied on. */
  async leave(): Promise<void> {
    this.#client?.session.disconnected();
    await this.#client?.ended;
    this.#client = undefined;
  }

  async run(command: string): Promise<void> {
    const client = this.#client;
    if (!client) return;
    const tag = `t${++this.#tag}`;
    client.send(`${tag} ${command}\r\n`);
    const said = await client.reply(tag);
    for (const line of said.split('\r\n')) this.#hear(line);
    if (!/^(FETCH|STORE)/.test(command)) this.#modSeq = Math.max(this.#modSeq, this.#heard);
    if (this.#quick) {
      const fresh = this.#fresh > (command.startsWith('SELECT') ? 1 : 0);
      this.#fresh = 0;
      if (fresh) await this.run(`UID FETCH ${this.#upto + 1}:* FLAGS`);
      else this.#upto = Math.max(this.#upto, ...this.any);
    } else if (this.#uids.includes(0)) {
      // Some of them may have gone, which an answer to FETCH cannot tell.
      const asked = command.startsWith('FETCH');
      await this.run(asked ? 'NOOP' : `FETCH ${this.#uids.indexOf(0) + 1}:* (UID FLAGS)`);
    }
  }

  #hear(line: string): void {
    const [, number, kind] = /^\* (\d+) (EXISTS|EXPUNGE)/.exec(line) ?? [];
    if (kind === 'EXISTS') this.#fresh++;
    if (kind === 'EXISTS') while (this.#uids.length < Number(number)) this.#uids.push(0);
    if (kind === 'EXPUNGE') this.flags.delete(this.#uids.splice(Number(number) - 1, 1)[0]!);
    const validity = /\[UIDVALIDITY (\d+)\]/.exec(line)?.[1];
    if (validity) this.#validity = validity;
    const modSeq = /(?:HIGHESTMODSEQ |MODSEQ \()(\d+)/.exec(line)?.[1];
    if (modSeq) this.#heard = Math.max(this.#heard, Number(modSeq));
    const vanished = /^\* VANISHED (?:\(EARLIER\) )?([\d:,]+)/.exec(line)?.[1];
    for (const range of vanished?.split(',') ?? []) {
      const [from, to = from] = range.split(':').map(Number);
      for (let uid = from!; uid <= to!; uid++) this.flags.delete(uid);
    }
    const fetch = /^\* (\d+) FETCH \((.*)\)$/.exec(line);
    if (!fetch) return;
    const uid = Number(/UID (\d+)/.exec(fetch[2]!)?.[1] ?? this.#uids[Number(fetch[1]) - 1]);
    if (uid === 0) return; // it is asked for yet
    this.#uids[Number(fetch[1]) - 1] = uid;
    const flags = /FLAGS \((.*?)\)/.exec(fetch[2]!)?.[1];
    if (flags !== undefined) this.flags.set(uid, flags.split(' ').sort().join(' '));
  }

  get any(): readonly number[] {
    return [...this.flags.keys()];
  }

  get state(): string[] {
    return [...this.flags].sort(([a], [b]) => a - b).map(([uid, flags]) => `${uid} ${flags}`);
  }
}

/** Another Maildir program. */
function edit(folder: string, dice: () => number): void {
  const names = readdirSync(join(folder, 'cur'));
  const name = names[Math.floor(dice() * names.length)];
  const what = dice();
  if (what < 0.35 || name === undefined) {
    const fresh = `${1_700_000_000 + Math.floor(dice() * 1e6)}.other${Math.floor(dice() * 1e9)}`;
    writeFileSync(join(folder, dice() < 0.5 ? `new/${fresh}` : `cur/${fresh}:2,`), mail('other'));
  } else if (what < 0.55) unlinkSync(join(folder, 'cur', name));
  else {
    const letters = ['', 'S', 'F', 'FS', 'RST', 'T'][Math.floor(dice() * 6)];
    renameSync(join(folder, 'cur', name), join(folder, 'cur', name.replace(/(:2,.*)?$/, `:2,${letters}`)));
  }
}

test(`programs that stay, that come back by QRESYNC and that begin anew see the same (seed ${SEED})`, async (t) => {
  const dice = seededRandom(SEED);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(dice() * all.length)]!;
  const disk = await Box.make();
  let thread = new IndexThread(systemScheduler, silentLogger);
  let files = new FailingFiles(unsynced);
  const start = async (): Promise<ImapBox<never>> => {
    files = new FailingFiles(unsynced);
    return new ImapBox((await disk.open({ files, indexThread: thread })) as never);
  };
  let box = await start();
  t.after(async () => {
    for (const program of programs) await program.leave();
    await disk.stop();
    await thread.close();
  });
  const programs = [new Program('plain', false), new Program('quick', true), new Program('comes and goes', true)];
  const act = async (program: Program): Promise<void> => {
    const what = dice();
    const uid = pick(program.any) ?? 1;
    const some = `${uid}:${uid + Math.floor(dice() * 4)}`;
    if (what < 0.2) await program.run(`APPEND INBOX (${pick(FLAGS)}) {${mail('x').length}+}\r\n${mail('x')}`);
    else if (what < 0.5) await program.run(`UID STORE ${some} ${pick(['+', '-', ''])}FLAGS (${pick(FLAGS)})`);
    else if (what < 0.6) await program.run(`UID STORE ${some} +FLAGS (\\Deleted)`);
    else if (what < 0.7) await program.run('EXPUNGE');
    else if (what < 0.75) await program.run(`UID MOVE ${some} Archive`);
    else if (what < 0.8) await program.run(`UID COPY ${some} INBOX`);
    else if (what < 0.9) await program.run(`FETCH 1:* (UID FLAGS)`);
    else await program.run('NOOP');
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const program of programs) await program.connect(box);
    for (let i = 0; i < 10; i++) {
      const [first, second] = [pick(programs), pick(programs)];
      const doing = [act(first), ...(second === first ? [] : [act(second)])];
      if (dice() < 0.5) edit(disk.maildir, dice);
      if (dice() < 0.2) await settle(3);
      await Promise.all(doing);
      if (dice() < 0.2) await programs[2]!.leave();
      if (dice() < 0.2) await programs[2]!.connect(box);
    }
    if (dice() < 0.3) for (const program of programs) if (dice() < 0.7) await program.leave();
    for (let i = 0; i < 3; i++) edit(disk.maildir, dice);
    if (dice() < 0.3) {
      for (const program of programs) await program.leave();
      if (dice() < 0.5) {
        files.crashAt = 0;
        disk.forget();
        await thread.close(); // as by kill -9: what the index was not told to its end is not there
        thread = new IndexThread(systemScheduler, silentLogger);
        edit(disk.maildir, dice);
      } else await disk.stop();
      box = await start();
    }
    for (const program of programs) await program.connect(box);
    for (const program of programs) await program.run('NOOP');
    const fresh = new Program('fresh', false);
    await fresh.connect(box);
    for (const program of programs) await program.run('NOOP');
    for (const program of programs) assert.deepEqual(program.state, fresh.state, `${program.name}, round ${round}`);
    await fresh.leave();
  }
});
