/**
 * The main job without a second computer: two daemons and a bootstrap node as processes of their own, contacts by Tox
 * ID, a mail with an attachment in by SMTP on one side and out by POP3 and by IMAP on the other.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ImapFlow } from 'imapflow';
import { createTransport } from 'nodemailer';

const bin = join(dirname(fileURLToPath(import.meta.url)), '..', 'packages', 'toxmail', 'bin', 'toxmail.mjs');
const ATTACHMENT_BYTES = 300_000;
/** Far above what any step takes; the demo fails rather than hangs. */
const STEP_LIMIT_MS = 60_000;

const keep = process.argv.includes('--keep');
const folder = mkdtempSync(join(tmpdir(), 'toxmail-demo-'));
const children = [];
const started = performance.now();

process.on('exit', cleanUp);
let done = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(done ? 0 : 130));
if (process.channel) {
  process.on('disconnect', () => process.exit(1));
  process.channel.unref();
}

try {
  await demo();
} catch (error) {
  console.error(`\nThe demo failed: ${error.message}`);
  process.exit(1);
}
done = true;
if (!keep) process.exit(0);

async function demo() {
  console.log('Toxmail demo: two people on one machine, each with a daemon of their own.\n');

  const node = await step('a bootstrap node starts', async () => {
    const child = await launch([
      'bootstrap',
      '--data',
      join(folder, 'bootstrap'),
      '--udp-port',
      '0',
      '--bootstrap',
      'none',
    ]);
    return { value: child.lines[0].replace(/^.*(:\d+:[0-9A-F]{64})$/, '127.0.0.1$1'), note: 'knows nobody' };
  });

  const ann = await step("Ann's daemon starts", () => person('ann', node));
  const bob = await step("Bob's daemon starts", () => person('bob', node));

  await step('both are connected to Tox', async () => {
    for (const each of [ann, bob]) await toxmail(each, ['status', '--wait', '30']);
    return { note: 'over UDP, through the bootstrap node' };
  });

  await step('they add each other by Tox ID', async () => {
    await toxmail(ann, ['contact', 'add', 'bob', bob.address]);
    await toxmail(bob, ['contact', 'add', 'ann', ann.address]);
    return { note: 'nothing else is exchanged' };
  });

  await step('they find each other', async () => {
    await until(async () => (await toxmail(ann, ['contact', 'list']))[0].online);
    await until(async () => (await toxmail(bob, ['contact', 'list']))[0].online);
    return { note: 'an encrypted session between the two, no server' };
  });

  const picture = randomBytes(ATTACHMENT_BYTES);
  const text = 'Dear Bob,\r\n\r\n.this line starts with a dot, and here are some letters: äöü ☃ 🦉\r\n\r\nAnn\r\n';
  await step('Ann sends a mail with an attachment by SMTP', async () => {
    const smtp = createTransport({
      host: ann.smtp.host,
      port: ann.smtp.port,
      ignoreTLS: true,
      auth: { user: 'ann', pass: ann.password },
    });
    const { response } = await smtp.sendMail({
      from: 'Ann <ann@tox>',
      to: 'bob@tox',
      subject: 'A picture of an owl',
      text,
      attachments: [{ filename: 'owl.bin', content: picture }],
    });
    smtp.close();
    return { note: response };
  });

  const mail = await step('Bob reads it by POP3', async () => {
    const mails = await until(async () => {
      const found = await readPop3(bob);
      return found.length > 0 ? found : undefined;
    });
    if (mails.length !== 1) throw new Error(`expected one mail, found ${mails.length}`);
    return { value: mails[0], note: `${mails[0].length} bytes` };
  });

  await step('he reads it by IMAP, too', async () => {
    const { mail: same, folders } = await readImap(bob);
    if (!same.equals(mail)) throw new Error('IMAP gives another mail than POP3');
    return { note: `the same ${same.length} bytes; folders ${folders.join(', ')}` };
  });

  await step('it is the same mail', async () => {
    const raw = mail.toString('latin1');
    const from = /^From: (.*)$/im.exec(raw)?.[1].trim();
    if (!from?.includes('ann@tox')) throw new Error(`From is ${from}`);
    const { attachment, body } = parts(raw);
    if (!attachment.equals(picture)) throw new Error('the attachment differs');
    if (body.toString('utf8') !== text) throw new Error('the text differs');
    return { note: `From: ${from}; attachment sha256 ${sha256(attachment).slice(0, 16)}… equal` };
  });

  await step("Ann's queue says delivered", async () => {
    const items = await until(async () => {
      const found = await toxmail(ann, ['queue']);
      return found.every((item) => item.state === 'delivered') ? found : undefined;
    });
    return { note: items.map((item) => `${item.size} bytes, ${item.attempts} attempt(s)`).join('; ') };
  });

  console.log('');
  if (keep) settings([ann, bob]);
  else console.log('All steps done. "npm run demo -- --keep" leaves the daemons running for your mail program.');
}

function settings(people) {
  console.log(
    '\nThe daemons keep running until Ctrl-C. Settings for a mail program (no encryption, normal password):\n',
  );
  for (const { name, smtp, imap, pop3, password, data } of people)
    console.log(
      `  ${name}: SMTP ${smtp.host} port ${smtp.port}, IMAP port ${imap.port} (or POP3 port ${pop3.port}), ` +
        `user ${name}, password ${password}\n    npx toxmail status --data ${data}`,
    );
}

/** Runs one step, prints it with the time it took, and gives back its value. */
async function step(title, work) {
  process.stdout.write(`  ${title} … `);
  const from = performance.now();
  const { value, note } = await within(work(), title);
  const now = performance.now();
  console.log(`${(now - from).toFixed(0)} ms (at ${((now - started) / 1000).toFixed(1)} s)${note ? `: ${note}` : ''}`);
  return value;
}

/** A daemon with one account. */
async function person(name, node) {
  const data = join(folder, name);
  const { password, address } = await toxmail({ data }, ['account', 'add', name, '--no-welcome']);
  await launch([
    ...['run', '--data', data, '--smtp-port', '0', '--pop3-port', '0', '--udp-port', '0'],
    ...['--bootstrap', node, '--no-lan', '--log-level', 'warn'],
  ]);
  const { listeners } = await toxmail({ data }, ['status']);
  const value = { name, data, password, address, smtp: listeners.smtp, imap: listeners.imap, pop3: listeners.pop3 };
  return { value, note: `SMTP port ${value.smtp.port}, IMAP port ${value.imap.port}, POP3 port ${value.pop3.port}` };
}

/** Starts a long-running command; resolves with its first lines when it has said that it runs. */
async function launch(args) {
  const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  children.push(child);
  const lines = [];
  await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      resolve();
    });
    child.on('exit', (code) => reject(new Error(`"toxmail ${args[0]}" ended with status ${code}`)));
  });
  return { lines };
}

/** One command of the command line, as a process of its own; its JSON. */
async function toxmail({ data }, args) {
  const child = spawn(process.execPath, [bin, ...args, '--data', data, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors] = [[], []];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => errors.push(chunk));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(Buffer.concat(errors).toString().trim());
  return JSON.parse(Buffer.concat(output).toString());
}

/** All mails of a maildrop, dot-unstuffed. */
async function readPop3({ name, password, pop3 }) {
  const socket = connect(pop3.port, pop3.host);
  let buffer = Buffer.alloc(0);
  let wake = () => {};
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    wake();
  });
  socket.on('close', () => wake());
  const take = async (ending) => {
    for (;;) {
      const at = buffer.indexOf(ending);
      if (at >= 0) {
        const part = buffer.subarray(0, at);
        buffer = buffer.subarray(at + ending.length);
        return part;
      }
      if (socket.destroyed) throw new Error('POP3 closed the connection');
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
  };
  const line = async () => {
    const said = (await take('\r\n')).toString();
    if (!said.startsWith('+OK')) throw new Error(`POP3 said: ${said}`);
    return said;
  };
  const ask = (command) => {
    socket.write(`${command}\r\n`);
    return line();
  };
  await line();
  await ask(`USER ${name}`);
  await ask(`PASS ${password}`);
  const count = Number((await ask('STAT')).split(' ')[1]);
  const mails = [];
  for (let number = 1; number <= count; number++) {
    await ask(`RETR ${number}`);
    const stuffed = (await take('\r\n.\r\n')).toString('latin1');
    mails.push(Buffer.from(`${stuffed}\r\n`.replace(/^\.\./gm, '.'), 'latin1'));
  }
  await ask('QUIT');
  socket.destroy();
  return mails;
}

/** The one mail in the inbox, and the folders there are. */
async function readImap({ name, password, imap }) {
  const client = new ImapFlow({
    host: imap.host,
    port: imap.port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: name, pass: password },
    logger: false,
  });
  await client.connect();
  const folders = (await client.list()).map((each) => each.path);
  await client.mailboxOpen('INBOX');
  const { source } = await client.fetchOne('1', { source: true });
  await client.logout();
  return { mail: source, folders };
}

/** Text and attachment of the multipart mail that nodemailer builds. */
function parts(raw) {
  const boundary = /boundary="?([^"\r\n]+)"?/i.exec(raw)[1];
  const [, text, file] = raw.split(`--${boundary}`);
  return { body: decoded(text), attachment: decoded(file) };
}

function decoded(part) {
  const split = part.indexOf('\r\n\r\n');
  const content = part.slice(split + 4);
  if (/^Content-Transfer-Encoding: base64/im.test(part.slice(0, split))) return Buffer.from(content, 'base64');
  if (/^Content-Transfer-Encoding: quoted-printable/im.test(part.slice(0, split)))
    return Buffer.from(
      content
        .replace(/=\r\n/g, '')
        .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
        .replace(/\r\n$/, ''),
      'latin1',
    );
  return Buffer.from(content.replace(/\r\n$/, ''), 'latin1');
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

async function until(find) {
  for (;;) {
    const found = await find();
    if (found) return found;
    await sleep(50);
  }
}

async function within(work, title) {
  const timeout = AbortSignal.timeout(STEP_LIMIT_MS);
  return Promise.race([
    work,
    new Promise((_, reject) => {
      timeout.addEventListener('abort', () => reject(new Error(`"${title}" did not happen within 60 s`)));
    }),
  ]);
}

function cleanUp() {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
