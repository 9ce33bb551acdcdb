import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ImapClient } from '../../bench/imap-client.ts';
import { fillMaildir } from '../../bench/imap-mails.ts';
import { household, sendOver } from './household.ts';

const SESSIONS = 200;
const MAILS = 2_000;
const MIB = 1_024;

test('200 sessions that idle fit into 300 MB with the whole daemon, and all hear of a mail', {
  timeout: 120_000,
}, async (t) => {
  const people = await household();
  const clients: ImapClient[] = [];
  try {
    const { ann, bob } = people;
    fillMaildir(join(bob.toxmail.data, 'accounts', 'bob', 'Maildir'), MAILS);
    for (let i = 0; i < SESSIONS; i++) {
      const client = await ImapClient.logIn(bob.ports.imap, bob.name, bob.password);
      await client.say('SELECT INBOX');
      clients.push(client);
    }
    const idling = await Promise.all(clients.map((client) => client.idle()));
    const status = readFileSync(`/proc/${bob.toxmail.pid}/status`, 'utf8');
    const resident = Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / MIB);
    assert.ok(resident < 300, `${resident} MiB resident`);
    const heard = idling.map(({ pushed }) => pushed());
    await sendOver(ann, bob, { subject: 'to all of you', text: 'hello' });
    const times = await Promise.all(heard);
    t.diagnostic(
      `${resident} MiB; all told within ${Math.round(Math.max(...times) - Math.min(...times))} ms of the first`,
    );
    await Promise.all(idling.map(({ done }) => done()));
  } finally {
    for (const client of clients) client.cut();
    await people.end();
  }
});
