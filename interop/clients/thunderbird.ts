import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { stop, until } from '../../packages/toxmail/test/daemon/processes.ts';
import type { MailUser } from './household.ts';

/** In front of each script: the IMAP account, its folders by path, and waiting. */
const PRELUDE = `
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const account = MailServices.accounts.accounts.find((each) => each.incomingServer.type === "imap");
const root = account.incomingServer.rootFolder;
const folder = (path) => root.descendants.find((each) => each.URI.split("/").slice(3).join("/") === path);
const titles = (path) => [...folder(path).messages].map((each) => each.mime2DecodedSubject);
// As after a click on the folder. Thunderbird tells the server of a move only half a second later, and a folder that it
// asked about before then, or while it was emptied, stays as it was until somebody looks again.
const shown = (path) => {
  folder(path).updateFolder(null);
  return titles(path);
};
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const sleep = (ms) => new Promise((go) => setTimeout(go, ms));
const until = async (what, ask) => {
  for (let i = 0; i < 300; i++) {
    const found = await ask();
    if (found) return found;
    await sleep(100);
  }
  throw new Error("not within 30 s: " + what);
};
const done = () => {
  let listener;
  const promise = new Promise((go) => {
    const QueryInterface = ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]);
    const nothing = () => {};
    listener = { QueryInterface, OnStartRunningUrl: nothing, OnStopRunningUrl: (_, status) => go(status),
      onStartCopy: nothing, onProgress: nothing, setMessageKey: nothing, getMessageId: nothing, onStopCopy: go };
  });
  return { listener, promise };
};
`;

/** Thunderbird without a screen, with one account, run by scripts in its own process (Marionette). */
export class Thunderbird {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #log: string;
  #buffer = Buffer.alloc(0);
  #wake: () => void = () => {};
  #id = 0;

  private constructor(child: ChildProcess, socket: Socket, log: string) {
    this.#child = child;
    this.#socket = socket;
    this.#log = log;
    socket.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake();
    });
    socket.on('close', () => this.#wake());
    socket.on('error', () => {}); // 'close' follows
  }

  /** `home` is made; `user` without TLS, known to the program as `address`. */
  static async start(home: string, user: MailUser, address: string): Promise<Thunderbird> {
    const profile = join(home, 'profile');
    mkdirSync(profile, { recursive: true });
    writeFileSync(join(profile, 'user.js'), preferences(user, address));
    const log = join(home, 'imap');
    const child = spawn(
      'thunderbird',
      ['--headless', '--no-remote', '--marionette', '--remote-allow-system-access', '--profile', profile],
      { env: { PATH: process.env.PATH, HOME: home, MOZ_LOG: 'IMAP:4,sync', MOZ_LOG_FILE: log }, stdio: 'ignore' },
    );
    try {
      const file = join(profile, 'MarionetteActivePort');
      const port = await until('Thunderbird runs', async () => existsSync(file) && Number(readFileSync(file, 'utf8')));
      const thunderbird = new Thunderbird(child, connect(port, '127.0.0.1'), `${log}.moz_log`);
      await thunderbird.#answer();
      await thunderbird.#command('WebDriver:NewSession', {});
      await thunderbird.#command('Marionette:SetContext', { value: 'chrome' });
      await thunderbird.#command('WebDriver:SetTimeouts', { script: 60_000 });
      await thunderbird.run(
        `for (const kind of ["imap", "smtp"]) {
           const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
           const url = kind + "://127.0.0.1";
           login.init(url, null, url, ...args, "", "");
           await Services.logins.addLoginAsync(login);
         }
         account.incomingServer.getNewMessages(root, null, null);
         await until("folders", () => folder("Sent"));`,
        address,
        user.password,
      );
      return thunderbird;
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** The body of an async function in Thunderbird, with `args`. Resolves with what it returns. */
  // biome-ignore lint/suspicious/noExplicitAny: each script has its own shape
  async run(body: string, ...args: unknown[]): Promise<any> {
    const script = `const [args, finish] = arguments;
      (async () => { ${PRELUDE} ${body} })().then(
        (value) => finish({ value: value ?? null }), (error) => finish({ error: error + error.stack }));`;
    const { value } = (await this.#command('WebDriver:ExecuteAsyncScript', {
      ...{ script, args: [args], sandbox: 'system' },
    })) as { value: { value?: unknown; error?: string } };
    if (value.error !== undefined) throw new Error(value.error);
    return value.value;
  }

  /** What it complained about: refused commands, and answers that it could not read. */
  complaints(): string[] {
    const refused = /CreateNewLineFromSocket: \w+ (?:NO|BAD) |Syntax Error/;
    return readFileSync(this.#log, 'utf8')
      .split('\n')
      .filter((line) => refused.test(line));
  }

  async end(): Promise<void> {
    this.#socket.destroy();
    await stop(this.#child, 'SIGKILL');
  }

  async #command(name: string, parameters: unknown): Promise<unknown> {
    const text = JSON.stringify([0, ++this.#id, name, parameters]);
    this.#socket.write(`${Buffer.byteLength(text)}:${text}`);
    const [, , error, result] = (await this.#answer()) as [number, number, { message: string } | null, unknown];
    if (error) throw new Error(`${name}: ${error.message}`);
    return result;
  }

  /** `length:JSON` */
  async #answer(): Promise<unknown> {
    for (;;) {
      const colon = this.#buffer.indexOf(':');
      const end = colon + 1 + Number(this.#buffer.subarray(0, Math.max(colon, 0)).toString());
      if (colon > 0 && this.#buffer.length >= end) {
        const text = this.#buffer.subarray(colon + 1, end).toString();
        this.#buffer = this.#buffer.subarray(end);
        return JSON.parse(text);
      }
      if (this.#socket.destroyed) throw new Error('Thunderbird has gone');
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }
}

function preferences({ ports }: MailUser, address: string): string {
  const folderUrl = (name: string): string => `imap://${encodeURIComponent(address)}@127.0.0.1/${name}`;
  const values = {
    'marionette.port': 0,
    'mail.accountmanager.accounts': 'account1',
    'mail.accountmanager.defaultaccount': 'account1',
    'mail.account.account1.server': 'server1',
    'mail.account.account1.identities': 'id1',
    'mail.server.server1.type': 'imap',
    'mail.server.server1.hostname': '127.0.0.1',
    'mail.server.server1.port': ports.imap,
    'mail.server.server1.userName': address,
    'mail.server.server1.name': address,
    'mail.server.server1.login_at_startup': false,
    'mail.server.server1.authMethod': 3, // password in clear
    'mail.identity.id1.fullName': 'Ann',
    'mail.identity.id1.useremail': address,
    'mail.identity.id1.valid': true,
    'mail.identity.id1.smtpServer': 'smtp1',
    'mail.identity.id1.fcc_folder': folderUrl('Sent'),
    'mail.identity.id1.draft_folder': folderUrl('Drafts'),
    'mail.smtpservers': 'smtp1',
    'mail.smtpserver.smtp1.hostname': '127.0.0.1',
    'mail.smtpserver.smtp1.port': ports.smtp,
    'mail.smtpserver.smtp1.username': address,
    'mail.smtpserver.smtp1.authMethod': 3,
    'mail.shell.checkDefaultClient': false,
    'mailnews.start_page.enabled': false,
    'datareporting.policy.dataSubmissionPolicyBypassNotification': true,
    'app.update.enabled': false,
  };
  return Object.entries(values)
    .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
    .join('');
}
