/**
 * `npm run netlab`: the whole matrix of who reaches whom. Writes its tables into docs/reachability.md; fails if c-toxcore
 * does better anywhere. `npm run netlab -- symmetric open` tries these places only, and writes nothing.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { disposeOracle, oracleMissing } from '../oracle/oracle.ts';
import { netlabMissing } from './lab.ts';
import { allPairs, complaints, describe, matrix, outcome, type Row } from './matrix.ts';
import { PLACES, type Place } from './meeting.ts';
import { tables } from './report.ts';

const PAGE = new URL('../../docs/reachability.md', import.meta.url);
const BEGIN = '<!-- tables: npm run netlab -->';
const END = '<!-- end of tables -->';
/** As many meetings as two cores carry without being what slows them down. */
const PARALLEL = 8;
/** c-toxcore's fifth round of punching is over, and its searches of unknown ports have begun. */
const LIMIT_MS = 60_000;

const reason = (await netlabMissing()) || (await oracleMissing());
if (reason) {
  console.error(reason);
  process.exit(1);
}
const wanted = process.argv.slice(2);
const unknown = wanted.find((place) => !(PLACES as readonly string[]).includes(place));
if (unknown) {
  console.error(`not a place: ${unknown}; there are ${PLACES.join(', ')}`);
  process.exit(2);
}
const pairs = allPairs(wanted.length > 0 ? (wanted as Place[]) : PLACES);
const onRow = ({ pair, meeting }: Row) => console.log(`${describe(pair)}: ${outcome(meeting)}`);
const rows = await matrix(pairs, { parallel: PARALLEL, limitMs: LIMIT_MS, onRow });
const worse = complaints(rows);
if (wanted.length === 0) await publish(tables(rows));
else console.log(`\n${tables(rows)}`);
console.log(worse.length > 0 ? `\nc-toxcore does better:\n${worse.join('\n')}` : '\nc-toxcore is nowhere better.');
process.exitCode = worse.length > 0 ? 1 : 0;
await disposeOracle();

async function publish(text: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest!.split(END)[1]!;
  await writeFile(PAGE, `${before}${BEGIN}\n\n${text}\n\n${END}${after}`);
}
