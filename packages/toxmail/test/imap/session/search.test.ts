import { test } from 'node:test';
import { ImapBox } from '../script.ts';

function box(): ImapBox {
  const all = new ImapBox();
  for (const [subject, ...flags] of [['b', '\\Seen'], ['c'], ['a', '\\Flagged'], ['d', '\\Seen', '\\Flagged']] as const)
    all.store.inbox.deliver(`Subject: ${subject}\n\nBody of ${subject}\n`, flags);
  all.store.inbox.remove([1]);
  all.store.inbox.deliver('Subject: e\n\nlast\n');
  return all; // UIDs 2 to 5
}

test('SEARCH gives numbers, UID SEARCH gives UIDs', async () => {
  const client = await box().select();
  await client.run(
    'C: a SEARCH UNFLAGGED',
    'S: * SEARCH 1 4',
    'S: a OK Done',
    'C: b UID SEARCH OR FLAGGED TEXT last',
    'S: * SEARCH 3 4 5',
    'S: b OK Done',
    'C: c SEARCH 2:3 NOT SEEN',
    'S: * SEARCH 2',
    'S: c OK Done',
    'C: d UID SEARCH UID 4:* UNDELETED',
    'S: * SEARCH 4 5',
    'S: d OK Done',
    'C: e SEARCH DRAFT',
    'S: * SEARCH',
    'S: e OK Done',
    'C: f SEARCH CHARSET ISO-8859-1 TEXT x',
    'S: f NO [BADCHARSET (US-ASCII UTF-8)] Only US-ASCII and UTF-8 are known',
    'C: g SEARCH 9',
    'S: g BAD There is no mail of that number',
    'C: h SEARCH TEXT {4+}',
    'C+: last',
    'S: * SEARCH 4',
    'S: h OK Done',
  );
});

test('ESEARCH, SEARCHRES: what was found is used by $', async () => {
  const client = await box().select();
  await client.run(
    'C: a SEARCH RETURN (MIN MAX COUNT ALL) ALL',
    'S: * ESEARCH (TAG "a") MIN 1 MAX 4 ALL 1:4 COUNT 4',
    'S: a OK Done',
    'C: b UID SEARCH RETURN () FLAGGED',
    'S: * ESEARCH (TAG "b") UID ALL 3:4',
    'S: b OK Done',
    'C: c SEARCH RETURN (COUNT) DRAFT',
    'S: * ESEARCH (TAG "c") COUNT 0',
    'S: c OK Done',
    'C: d SEARCH RETURN (SAVE) FLAGGED',
    'S: d OK Done',
    'C: e FETCH $ UID',
    'S: * 2 FETCH (UID 3)',
    'S: * 3 FETCH (UID 4)',
    'S: e OK Done',
    'C: f SEARCH $ SEEN',
    'S: * SEARCH 3',
    'S: f OK Done',
    'C: g UID SEARCH RETURN (SAVE MAX) ALL',
    'S: * ESEARCH (TAG "g") UID MAX 5',
    'S: g OK Done',
    'C: h UID STORE $ +FLAGS.SILENT (\\Deleted)',
    'S: h OK Done',
    'C: i UID EXPUNGE $',
    'S: * 4 EXPUNGE',
    'S: i OK Expunged',
    'C: j UID FETCH $ UID',
    'S: j OK Done',
  );
});

test('SORT keeps its order, also in ESORT; THREAD nests', async () => {
  const client = await box().select();
  await client.run(
    'C: a SORT (SUBJECT) UTF-8 ALL',
    'S: * SORT 2 1 3 4',
    'S: a OK Done',
    'C: b UID SORT (REVERSE SUBJECT) US-ASCII FLAGGED',
    'S: * SORT 4 3',
    'S: b OK Done',
    'C: c UID SORT RETURN (COUNT ALL) (SUBJECT) UTF-8 ALL',
    'S: * ESEARCH (TAG "c") UID ALL 3,2,4:5 COUNT 4',
    'S: c OK Done',
    'C: d THREAD REFERENCES UTF-8 ALL',
    'S: * THREAD (1 (2)(3)(4))',
    'S: d OK Done',
    'C: e THREAD REFERENCES UTF-8 DRAFT',
    'S: * THREAD',
    'S: e OK Done',
    'C: f THREAD REFS UTF-8 ALL',
    'S: f NO [CANNOT] *',
  );
});
