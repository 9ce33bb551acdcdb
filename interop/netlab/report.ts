import { find, outcome, type Row } from './matrix.ts';
import { PLACES, type Place } from './meeting.ts';
import type { Program } from './peers.ts';

/** The matrix as Markdown tables, one for each pair of programs. */
export function tables(rows: readonly Row[]): string {
  return [
    table('Two c-toxcore', rows, 'c-toxcore', 'c-toxcore'),
    table('Two of ours', rows, 'toxmail', 'toxmail'),
    table('Ours (rows) with c-toxcore (columns)', rows, 'toxmail', 'c-toxcore'),
  ].join('\n\n');
}

function table(title: string, rows: readonly Row[], program: Program, other: Program): string {
  const places = PLACES.filter((place) => place !== 'same-router');
  const cell = (a: Place, b: Place) => {
    const row = find(rows, [program, a], [other, b]);
    return row ? outcome(row.meeting) : '';
  };
  const same = cell('same-router', 'same-router');
  return [
    `### ${title}`,
    '',
    `| | ${places.join(' | ')} |`,
    `|---|${places.map(() => '---|').join('')}`,
    ...places.map((a) => `| **${a}** | ${places.map((b) => cell(a, b)).join(' | ')} |`),
    ...(same ? ['', `Both behind one router that does not hairpin: ${same}.`] : []),
  ].join('\n');
}
