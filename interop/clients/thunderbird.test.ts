import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from '../../packages/toxmail/test/daemon/processes.ts';
import { serversMissing } from '../mail-server/programs.ts';
import { type Household, household, readMaildir, sendOver, subjectOf } from './household.ts';
import { Thunderbird } from './thunderbird.ts';

const skip = await serversMissing('thunderbird');

describe('Thunderbird', { skip, timeout: 120_000 }, () => {
  let people: Household;
  let thunderbird: Thunderbird;

  before(async () => {
    people = await household();
    thunderbird = await Thunderbird.start(join(people.folder, 'thunderbird'), people.ann, 'ann@tox.alt');
  });
  after(async () => {
    await thunderbird?.end();
    await people?.end();
  });

  const maildir = (user: 'ann' | 'bob', name: string): (string | undefined)[] =>
    readMaildir(join(people[user].toxmail.data, 'accounts', user, 'Maildir', name)).map(subjectOf);

  test('shows mails that come while it is busy, without being asked', async () => {
    await sendOver(people.bob, people.ann, { subject: 'first', text: 'x' });
    await thunderbird.run('await until("first", () => titles("INBOX").includes("first"));');
    const shown = thunderbird.run(`
      const [first] = folder("INBOX").messages;
      for (let i = 0; i < 150; i++) {
        folder("INBOX").markMessagesFlagged([first], i % 2 === 0);
        await sleep(20); // the pace of orders to a real program: it tells no event that would leave it busy
      }
      await until("second", () => titles("INBOX").includes("second"));`);
    await sendOver(people.bob, people.ann, { subject: 'second', text: 'x', cc: 'Bob <bob@tox>' });
    await shown;
  });

  test('replies to all but oneself, and keeps a copy', async () => {
    const recipients = await thunderbird.run(`
      const window = Services.wm.getMostRecentWindow("mail:3pane");
      const message = [...folder("INBOX").messages].find((each) => each.mime2DecodedSubject === "second");
      const uri = folder("INBOX").getUriForMsg(message);
      window.ComposeMessage(Ci.nsIMsgCompType.ReplyAll, Ci.nsIMsgCompFormat.Default, folder("INBOX"), [uri]);
      const writing = () => Services.wm.getMostRecentWindow("msgcompose");
      await until("the window", () => writing()?.gMsgCompose?.editor);
      const pills = () => [...writing().document.querySelectorAll("mail-address-pill")];
      await until("the recipients", () => pills().length > 0 && writing().gSendLocked === false);
      const found = pills().map((each) => each.emailAddress);
      writing().GenericSendMessage(Ci.nsIMsgCompDeliverMode.Now);
      await until("it is sent", () => !writing());
      return found;`);
    assert.deepEqual(recipients, ['bob@tox']);
    assert.deepEqual(maildir('ann', '.Sent'), ['Re: second']);
    await until('Bob has it', async () => maildir('bob', '').includes('Re: second'));
  });

  test('deletes into the trash, and empties it for good', async () => {
    await thunderbird.run(`
      const { listener, promise } = done();
      const messages = [...folder("INBOX").messages].filter((each) => each.mime2DecodedSubject !== "first");
      folder("INBOX").deleteMessages(messages, null, false, false, listener, true);
      await promise;
      await until("it is there", () => shown("Trash").includes("second"));`);
    assert.deepEqual(maildir('ann', '.Trash'), ['second']);
    await thunderbird.run(`
      const { listener, promise } = done();
      folder("Trash").emptyTrash(listener);
      await promise;
      await until("it is empty", () => shown("Trash").length === 0);`);
    assert.deepEqual([maildir('ann', '.Trash'), maildir('ann', '')], [[], ['first']]);
  });

  test('makes folders with any name, and finds mails on the server', async () => {
    const found = await thunderbird.run(`
      root.createSubfolder("Bücher & 📚", null);
      await until("the folder", () => root.descendants.some((each) => each.name === "Bücher & 📚"));
      const search = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
      search.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder("INBOX"));
      const term = search.createTerm();
      const { value } = term;
      value.attrib = term.attrib = Ci.nsMsgSearchAttrib.Sender;
      value.str = "bob@";
      term.value = value;
      term.op = Ci.nsMsgSearchOp.Contains;
      search.appendTerm(term);
      const hits = [];
      await new Promise((go) => {
        const QueryInterface = ChromeUtils.generateQI(["nsIMsgSearchNotify"]);
        const onSearchHit = (each) => hits.push(each.mime2DecodedSubject);
        search.registerListener({ QueryInterface, onSearchHit, onSearchDone: go, onNewSearch() {} });
        search.search(null);
      });
      return hits;`);
    assert.deepEqual(found, ['first']);
  });

  test('has nothing to complain about', () => {
    assert.deepEqual(thunderbird.complaints(), []);
  });
});
