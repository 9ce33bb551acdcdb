import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { disposeOracle, oracleMissing } from '../oracle/oracle.ts';
import { netlabMissing } from './lab.ts';
import { complaints, describe as describePair, matrix, outcome, type Pair, pair, pairsIn, type Row } from './matrix.ts';
import type { Place } from './meeting.ts';

// The part of the matrix that shows each way of getting through once; `npm run netlab` tries all of it.

const skip = (await netlabMissing()) || (await oracleMissing());

const PLACES: [Place, Place][] = [
  ['port-restricted', 'port-restricted'],
  ['full-cone', 'symmetric'],
  ['address-restricted', 'double'],
  ['symmetric-sequential', 'port-restricted'],
  ['symmetric', 'symmetric'],
  ['tcp-only', 'open'],
  ['same-router', 'same-router'],
];
const PARALLEL = 8;
/** After about 25 s c-toxcore gets through to a sequential NAT, too; it is not waited for here. */
const LIMIT_MS = 20_000;

describe('who reaches whom through which NAT', { skip }, () => {
  let rows: Row[] = [];
  before(async () => {
    rows = await matrix(pairsIn(PLACES), { parallel: PARALLEL, limitMs: LIMIT_MS });
  });
  after(disposeOracle);

  test('the laboratory is one in which c-toxcore always gets through', (t) => {
    for (const { pair, meeting } of rows) t.diagnostic(`${describePair(pair)}: ${outcome(meeting)}`);
    const theirs = rows.filter(({ pair }) => pair.every(({ program }) => program === 'c-toxcore'));
    assert.deepEqual(
      theirs.filter(({ meeting }) => meeting.wire === undefined).map(({ pair }) => describePair(pair)),
      [],
    );
  });

  test('we reach everybody whom it reaches, directly where it does, and no later', () => {
    assert.deepEqual(complaints(rows), []);
  });
});

describe('the same with public nodes of ours only', { skip }, () => {
  test('everybody meets, directly where it can be done', async (t) => {
    const meetings: [Pair, 'direct' | 'relay'][] = [
      [pair('c-toxcore', 'port-restricted', 'c-toxcore', 'port-restricted'), 'direct'],
      [pair('c-toxcore', 'symmetric', 'c-toxcore', 'tcp-only'), 'relay'],
      [pair('toxmail', 'symmetric', 'toxmail', 'symmetric'), 'relay'],
    ];
    const options = { parallel: 3, limitMs: LIMIT_MS, network: 'toxmail' } as const;
    const rows = await matrix(
      meetings.map(([each]) => each),
      options,
    );
    for (const row of rows) t.diagnostic(`${describePair(row.pair)}: ${outcome(row.meeting)}`);
    for (const [each, way] of meetings)
      assert.equal(rows.find((row) => row.pair === each)?.meeting.wire, way, describePair(each));
  });
});
