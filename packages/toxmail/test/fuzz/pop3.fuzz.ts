import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLogger } from '../../src/base/log.ts';
import { parseCommand, parseNumber } from '../../src/pop3/command.ts';
import { MailText } from '../../src/pop3/mail-text.ts';
import { settle } from '../../src/testing/virtual-scheduler.ts';
import { Mailbox } from '../pop3/script.ts';

const LAST = 'IMPLEMENTATION Toxmail\r\n.\r\n';
const MAILS = ['Subject: a\r\n\r\n.\r\n..x\r\n', 'Subject: b\n\nno end', ''];
const keyword = fc.constantFrom(
  'USER',
  'PASS',
  'AUTH',
  'STAT',
  'LIST',
  'UIDL',
  'RETR',
  'TOP',
  'DELE',
  'RSET',
  'NOOP',
  'CAPA',
  'UTF8',
  'LANG',
  'LANG *',
  'QUIT',
  'top',
  'Retr',
  'APOP',
  'STLS',
);
const argument = fc.oneof(
  fc.constantFrom(
    'mrose',
    'secret word',
    '1',
    '2',
    '3',
    '4',
    '0',
    '-1',
    '99999999999',
    '1 1',
    '1 0',
    '2 5',
    'PLAIN',
    '=',
    '*',
    '',
  ),
  fc.constant(`PLAIN ${Buffer.from('\0mrose\0secret word').toString('base64')}`),
  fc.string({ maxLength: 600 }),
);
const line = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(keyword, argument).map(([word, rest]) => `${word}${rest === '' ? '' : ' '}${rest}\r\n`),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map((text) => `${text}\r\n`) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '\r\n', '\0\r\n', `${'x'.repeat(20_000)}`) },
);

test('POP3: any lines before and after the log-in get replies of the standard, and only QUIT deletes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(line, { maxLength: 25 }), fc.boolean(), async (known, lines, pipelined) => {
      const box = new Mailbox(MAILS);
      const bugs: string[] = [];
      const log = createLogger({ level: 'debug', json: false, unixMs: () => 0, write: (text) => bugs.push(text) });
      try {
        const client = await box.connect({ log });
        if (known) await client.run('C: USER mrose', 'S: +OK', 'C: PASS secret word', 'S: +OK*');
        let said = '';
        for (const each of lines) {
          client.send(each);
          if (!pipelined) said += await client.rest();
        }
        client.send('\r\n\r\nCAPA\r\n'); // its answer comes after all others
        for (let i = 0; i < 100_000 && !client.closed && !said.endsWith(LAST); i++) said += await client.rest();
        const multi = /^\+OK[^\r\n]*\r\n(?:(?!\.\r\n)[^\n]*\n)*\.\r\n|^(?:\+OK|-ERR)[^\r\n]*\r\n|^\+ \r\n/;
        for (let left = said; left.length > 0; ) {
          const reply = multi.exec(left) ?? /^(?:\+OK|-ERR)[^\r\n]*\r\n/.exec(left);
          assert.ok(reply, JSON.stringify(left.slice(0, 200)));
          left = left.slice(reply[0].length);
        }
        const quit = lines.some((each) => /quit/i.test(each));
        if (!quit) assert.equal(readdirSync(join(box.path, 'new')).length, MAILS.length);
        client.session.disconnected();
        await settle(5);
        if (!quit) assert.equal(readdirSync(join(box.path, 'new')).length, MAILS.length);
        for (let i = 0; i < 100_000 && box.deps.locks.size > 0; i++) await settle(1); // a log-in may still read the disk
        assert.equal(box.deps.locks.size, 0, 'the mailbox is free again');
        assert.deepEqual(
          bugs.filter((text) => !/the connection is closed/.test(text) && !/pop3\.idle/.test(text)),
          [],
        );
      } finally {
        box.remove();
      }
    }),
  );
});

test('POP3: any command line is parsed, any number bounded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.string(), (bytes, text) => {
      const command = parseCommand(bytes);
      if (command) assert.match(command.keyword, /^[A-Z][A-Z0-9]{2,7}$/);
      const n = parseNumber(text);
      assert.ok(n === undefined || (Number.isInteger(n) && n >= 0 && n < 1e10));
    }),
  );
});

test('POP3: a mail comes out as it is, with doubled dots and whole lines, however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('.', '\r', '\n', '\r\n', 'x', '\0', '\r\n.\r\n'), { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      (parts, step) => {
        const mail = Buffer.from(parts.join(''));
        const text = new MailText();
        const out: Uint8Array[] = [];
        for (let at = 0; at < mail.length; at += step) out.push(Buffer.from(text.push(mail.subarray(at, at + step))));
        out.push(text.end());
        const wire = Buffer.concat(out).toString();
        assert.ok(wire === '' || wire.endsWith('\r\n'));
        const back = wire.replace(/(^|\r\n)\./g, '$1');
        const plain = mail.toString().replace(/\r?\n/g, '\r\n');
        assert.equal(back, plain === '' || plain.endsWith('\r\n') ? plain : `${plain}\r\n`);
      },
    ),
  );
});
