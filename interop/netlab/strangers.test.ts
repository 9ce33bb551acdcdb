import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../../packages/toxmail/test/daemon/processes.ts';
import { Lab, type NatKind, netlabMissing } from './lab.ts';
import { BootstrapNode, introduce, MailDaemon } from './mail-daemon.ts';
import { bodyOf, mailOf } from './mails.ts';

const skip = await netlabMissing();

describe('two daemons that know a Toxmail bootstrap node and nobody else', { concurrency: true, skip }, () => {
  const cases: [NatKind, NatKind][] = [
    ['symmetric', 'symmetric'],
    ['tcp-only', 'full-cone'],
    ['port-restricted', 'port-restricted'],
  ];
  for (const [one, other] of cases) {
    test(`a mail from behind a ${one} router reaches a stranger behind a ${other} one`, async (t) => {
      await using lab = await Lab.create();
      await using bootstrap = await BootstrapNode.start(await lab.host());
      await using ann = await MailDaemon.start(await (await lab.router(one)).host(), 'ann', [bootstrap.line]);
      await using bob = await MailDaemon.start(await (await lab.router(other)).host(), 'bob', [bootstrap.line]);
      const began = performance.now();
      const passed = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
      await introduce(ann, bob);
      const mail = mailOf(1_000_000);
      await ann.send('bob@tox', mail);
      await until('they find each other', () => ann.isOnline('bob'));
      t.diagnostic(`online after ${passed()}`);
      await until('the mail arrives', async () => (await bob.mails()) === 1);
      t.diagnostic(`delivered after ${passed()}`);
      assert.ok(bodyOf(await bob.read(1)).equals(bodyOf(mail)));
    });
  }
});
