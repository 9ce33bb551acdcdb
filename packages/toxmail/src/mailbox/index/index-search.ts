import { OWN_FIELDS } from '../mime/parse-mail.ts';
import { folded } from '../mime/search-text.ts';
import type { SortKey } from '../types.ts';
import { emailHashOf, type IndexStore } from './index-store.ts';
import type { SearchText } from './queries.ts';

/** Threes of a text that are looked up; the text itself decides afterwards. */
const GRAMS_MAX = 12;
/** If more mails may hold the text, reading all of them in order is quicker. */
const CANDIDATES_MAX = 5_000;

/** The UIDs of a folder's mails that have what is asked for, ascending. */
export function searchIndex(store: IndexStore, folder: number, key: SearchText): Uint32Array {
  switch (key.key) {
    case 'emailid':
      return ofContents(store, folder, 'email_hash', emailHashOf(key.id.startsWith('M') ? key.id : ''));
    case 'threadid':
      return ofContents(store, folder, 'thread_id', key.id);
    case 'header':
      return searchHeader(store, folder, key.name.toLowerCase(), folded(key.text));
    case 'body':
    case 'text':
      return searchText(store, folder, folded(key.text), key.key === 'text');
    default: {
      const compare = { before: '<', on: '=', since: '>=' }[key.key];
      return uids(
        store
          .prepare(
            `SELECT m.uid FROM messages m JOIN contents c ON c.id = m.content WHERE m.folder = ? AND c.sent_day ${compare} ?`,
          )
          .all(folder, key.day),
      );
    }
  }
}

function ofContents(store: IndexStore, folder: number, column: string, value: string | Buffer): Uint32Array {
  const mails = store.prepare(
    `SELECT m.uid FROM contents c JOIN messages m ON m.content = c.id WHERE m.folder = ? AND c.${column} = ?`,
  );
  return uids(mails.all(folder, value));
}

function searchHeader(store: IndexStore, folder: number, name: string, text: string): Uint32Array {
  const own = (OWN_FIELDS as readonly string[]).indexOf(name);
  if (own >= 0) {
    if (text === '') return scan(store, folder, `(f.present & ${1 << own}) > 0`, '');
    return find(store, folder, text, `instr(f."${name}", ?1) > 0`);
  }
  // In a column of lines: the line must be of that field.
  const line = `\n${name}:`;
  if (text === '') return scan(store, folder, `instr(char(10) || f.other, ?1) > 0`, line);
  const holds = (other: string): boolean =>
    other.split('\n').some((each) => each.startsWith(`${name}:`) && each.includes(text, name.length + 1));
  return find(store, folder, text, 'instr(f.other, ?1) > 0', 'f.other', holds);
}

function searchText(store: IndexStore, folder: number, text: string, fields: boolean): Uint32Array {
  if (text === '') return scan(store, folder, '?1 = ?1', '');
  const body = 'instr((SELECT body FROM texts WHERE id = f.id), ?1) > 0';
  if (!fields) return find(store, folder, text, body);
  const own = OWN_FIELDS.map((name) => `instr(f."${name}", ?1) > 0`).join(' OR ');
  return find(store, folder, text, `(${own} OR instr(f.other, ?1) > 0 OR ${body})`);
}

/** `condition`: of fields row f, with the text as ?1. `check` looks at a column of those that pass. */
function find(
  store: IndexStore,
  folder: number,
  text: string,
  condition: string,
  column = "''",
  check: (value: string) => boolean = () => true,
): Uint32Array {
  const ids = candidates(store, text);
  if (!ids) return scan(store, folder, condition, text, column, check);
  const found: { uid: unknown }[] = [];
  const one = store.prepare(`SELECT ${column} AS value FROM fields f WHERE f.id = ?2 AND ${condition}`);
  const mails = store.prepare('SELECT uid FROM messages WHERE content = ? AND folder = ?');
  for (const id of ids) {
    const row = one.get(text, id);
    if (row && check(String(row.value))) found.push(...(mails.all(id, folder) as { uid: unknown }[]));
  }
  // Those whose text is not in `grams` yet.
  const rest = scan(store, folder, `f.id > ${store.gramsUpto} AND ${condition}`, text, column, check);
  return uids([...found, ...Array.from(rest, (uid) => ({ uid }))]);
}

function scan(
  store: IndexStore,
  folder: number,
  condition: string,
  text: string,
  column = "''",
  check: (value: string) => boolean = () => true,
): Uint32Array {
  const sql = `SELECT m.uid, ${column} AS value FROM messages m JOIN fields f ON f.id = m.content
    WHERE m.folder = ?2 AND ${condition}`;
  // The bound of `grams` changes: such a text is not worth keeping.
  const statement = sql.includes('f.id >') ? store.sql.prepare(sql) : store.prepare(sql);
  const rows = statement.all(text, folder);
  return uids(rows.filter((row) => check(String(row.value))));
}

/** Contents that hold all threes of the text; undefined: too many, or the text is too short to tell. */
function candidates(store: IndexStore, text: string): number[] | undefined {
  const signs = [...text];
  if (signs.length < 3) return undefined;
  const all = [...new Set(signs.slice(2).map((_, i) => signs.slice(i, i + 3).join('')))];
  const step = Math.max(1, all.length / GRAMS_MAX);
  const grams = all.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const match = grams.map((gram) => `"${gram.replaceAll('"', '""')}"`).join(' AND ');
  const rows = store
    .prepare('SELECT rowid AS id FROM grams WHERE grams MATCH ? LIMIT ?')
    .all(match, CANDIDATES_MAX + 1);
  return rows.length > CANDIDATES_MAX ? undefined : rows.map((row) => Number(row.id));
}

function uids(rows: readonly Record<string, unknown>[]): Uint32Array {
  return Uint32Array.from(rows, (row) => Number(row.uid)).sort();
}

/** What the sort keys of RFC 5256 and RFC 5957 compare. */
const COLUMNS: Record<SortKey['key'], string> = {
  arrival: 'm.date',
  date: 'coalesce(c.sent, m.date)',
  size: 'm.size',
  subject: 'c.subject',
  from: 'c.sort_from',
  to: 'c.sort_to',
  cc: 'c.sort_cc',
  displayfrom: 'c.display_from',
  displayto: 'c.display_to',
};

export function sortIndex(store: IndexStore, folder: number, wanted: Uint32Array, by: readonly SortKey[]): Uint32Array {
  const set = new Set(wanted);
  const keys = by.filter(({ key }, n) => by.findIndex((other) => other.key === key) === n);
  const columns = keys.map(({ key }, n) => `${COLUMNS[key]} AS k${n}`).join(', ');
  const order = keys.map(({ reverse }, n) => `k${n} ${reverse ? 'DESC' : 'ASC'}`).join(', ');
  const sql = `SELECT m.uid, ${columns} FROM messages m JOIN contents c ON c.id = m.content
    WHERE m.folder = ? ORDER BY ${order}, m.uid`;
  const sorted: number[] = [];
  for (const { uid } of store.sql.prepare(sql).iterate(folder)) if (set.has(Number(uid))) sorted.push(Number(uid));
  return Uint32Array.from(sorted);
}
