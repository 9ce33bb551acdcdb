import { test } from 'node:test';
import fc from 'fast-check';
import { parseCommand } from '../../src/imap/command/parse.ts';
import { settle } from '../../src/testing/virtual-scheduler.ts';
import { begins, playAnySession, steps } from '../imap/any-session.ts';
import { ImapBox } from '../imap/script.ts';

for (const begin of begins) {
  test(`IMAP, ${begin}: any commands have one answer each, and message numbers hold`, async () => {
    await fc.assert(fc.asyncProperty(steps, fc.boolean(), (all, pipelined) => playAnySession(begin, all, pipelined)));
  });
}

test('IMAP: any bytes in any pieces keep the session bounded and never throw', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .constantFrom(
        'a {5}\r\n',
        'a LOGIN {8+}\r\n',
        'b APPEND INBOX {20+}\r\n',
        '\r\n',
        ' IDLE\r\n',
        'DONE\r\n',
        '*\r\n',
      )
      .map(Buffer.from),
    fc.constant(Buffer.alloc(70_000, 'x')),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...begins), fc.array(bytes, { maxLength: 30 }), async (begin, pieces) => {
      const box = new ImapBox();
      const client =
        begin === 'stranger' ? await box.connect() : begin === 'known' ? await box.logIn() : await box.select();
      for (const piece of pieces) {
        client.send(Buffer.from(piece).toString('latin1'));
        await settle(1);
      }
      client.session.clientEnded();
      await client.ended;
    }),
  );
});

test('IMAP: any bytes make a command or BAD', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      parseCommand(Buffer.from(bytes));
    }),
  );
});
