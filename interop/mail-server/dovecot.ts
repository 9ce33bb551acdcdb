import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startServer } from './programs.ts';

const run = promisify(execFile);

export interface DovecotPorts {
  readonly imap?: number;
  readonly pop3?: number;
  readonly lmtp?: number;
}

/** A private Dovecot on loopback with Maildirs: any user name, password `pw`. May be stopped and started again. */
export class Dovecot implements AsyncDisposable {
  readonly #folder: string;

  constructor(folder: string, ports: DovecotPorts) {
    this.#folder = folder;
    for (const name of ['run', 'state', 'home']) mkdirSync(join(folder, name), { recursive: true });
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, 'dovecot.conf'), configuration(folder, ports));
  }

  async start(): Promise<void> {
    const [uid, gid] = await mailOwner();
    await chown(join(this.#folder, 'home'), uid, gid);
    await startServer('dovecot', '-c', join(this.#folder, 'dovecot.conf'));
  }

  async stop(): Promise<void> {
    const pid = join(this.#folder, 'run', 'master.pid');
    if (!existsSync(pid)) return;
    process.kill(Number(readFileSync(pid, 'utf8')), 'SIGTERM');
    while (existsSync(pid)) await sleep(20); // another process: it can only be asked
  }

  maildir(user: string): string {
    return join(this.#folder, 'home', user, 'Maildir');
  }

  mails(user: string): Buffer[] {
    const folder = join(this.maildir(user), 'new');
    return existsSync(folder)
      ? readdirSync(folder)
          .sort()
          .map((name) => readFileSync(join(folder, name)))
      : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Dovecot refuses to keep mail as root. */
async function mailOwner(): Promise<[uid: number, gid: number]> {
  const id = async (of: string): Promise<number> => Number((await run('id', [of, 'mail'])).stdout);
  return [await id('-u'), await id('-g')];
}

function configuration(folder: string, { imap = 0, pop3 = 0, lmtp }: DovecotPorts): string {
  const listener = (name: string, port: number): string => `inet_listener ${name} {\n    port = ${port}\n  }`;
  const protocols = [imap ? 'imap' : '', pop3 ? 'pop3' : '', lmtp ? 'lmtp' : ''].filter(Boolean).join(' ');
  return `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
listen = 127.0.0.1
protocols = ${protocols}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_format = %Ln
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_max_userip_connections = 1000
postmaster_address = postmaster@example.test
service imap-login {
  ${listener('imap', imap)}
  ${listener('imaps', 0)}
}
service pop3-login {
  ${listener('pop3', pop3)}
  ${listener('pop3s', 0)}
}
${lmtp ? `service lmtp {\n  ${listener('lmtp', lmtp)}\n}\n` : ''}passdb {
  driver = static
  args = password=pw
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${folder}/home/%Ln allow_all_users=yes
}
`;
}
