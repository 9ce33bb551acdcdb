import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { KEPT_FIELDS } from '../mime/parse-mail.ts';
import type { Wanted } from '../types.ts';
import type { IndexedContent } from './mail-index.ts';
import { PageCaches } from './page-caches.ts';
import { isDamage, openForReading } from './schema.ts';

/** Characters that one call reads, besides the last mail's: a millisecond or so. */
const READ_MAX = 512 * 1024;

type Text = Exclude<keyof IndexedContent, 'headerFields'>;
/** Of the daemon's thread. */
const pageCaches = new PageCaches();

type Row = readonly (string | number | null)[];

/** Of what is wanted, the columns; their names here are those of IndexedContent. */
const COLUMNS: Record<Exclude<keyof Wanted, 'headerFields'>, readonly (readonly [column: string, name: Text])[]> = {
  envelope: [['envelope', 'envelope']],
  body: [['body', 'body']],
  bodyStructure: [['body_structure', 'bodyStructure']],
  preview: [['preview', 'preview']],
  objectIds: [
    ['email_id', 'emailId'],
    ['thread_id', 'threadId'],
  ],
};

/** Reads one account's index where the daemon's own thread needs it: on the spot, on a connection of its own. */
export class IndexReader {
  readonly #path: string;
  readonly #onDamage: () => void;
  #sql: DatabaseSync | undefined;
  /** BOUNDED: one for each set of columns. */
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string, onDamage: () => void) {
    this.#path = path;
    this.#onDamage = onDamage;
  }

  /** See MailIndex. */
  contents(contents: readonly number[], want: Wanted): (IndexedContent | undefined)[] {
    // Of a new index nothing is known, and its file may not be there yet.
    if (contents.every((content) => content === 0)) return contents.map(() => undefined);
    return this.#watched(() => this.#contents(contents, want));
  }

  /** See MailIndex. */
  structure(content: number): string | undefined {
    return this.#watched(() => {
      const row = this.#prepare('SELECT structure FROM contents WHERE id = ?').get(content) as unknown as
        | Row
        | undefined;
      return row && String(row[0]);
    });
  }

  close(): void {
    this.#statements.clear();
    this.#sql?.close();
    this.#sql = undefined;
  }

  #contents(contents: readonly number[], want: Wanted): (IndexedContent | undefined)[] {
    const texts = (Object.keys(COLUMNS) as (keyof typeof COLUMNS)[]).flatMap((key) => (want[key] ? COLUMNS[key] : []));
    const fields = want.headerFields && wantsKept(want.headerFields) ? want.headerFields.names : undefined;
    const columns = ['id', ...texts.map(([column]) => column), ...(fields ? ['kept'] : [])];
    // One statement for all of them: each one takes a lock and gives it back, which costs more than the row.
    const statement = this.#prepare(
      `SELECT ${columns.map((column) => `contents.${column}`).join(', ')}
        FROM json_each(?) AS wanted LEFT JOIN contents ON contents.id = wanted.value`,
    );
    const found: (IndexedContent | undefined)[] = [];
    let size = 0;
    for (const row of statement.iterate(JSON.stringify(contents)) as unknown as Iterable<Row>) {
      if (row[0] === null) {
        found.push(undefined);
        continue;
      }
      const content: { -readonly [Key in keyof IndexedContent]: IndexedContent[Key] } = { ...NOTHING };
      for (let i = 0; i < texts.length; i++) {
        const text = row[i + 1] as string;
        content[texts[i]![1]] = text;
        size += text.length;
      }
      const kept = fields && row[texts.length + 1];
      if (typeof kept === 'string') {
        content.headerFields = pickFields(kept, fields!);
        size += kept.length;
      }
      found.push(content);
      if (size >= READ_MAX) break;
    }
    return found;
  }

  #watched<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (isDamage(error)) this.#onDamage();
      throw error;
    }
  }

  #prepare(text: string): StatementSync {
    this.#sql ??= openForReading(this.#path);
    pageCaches.used(this.#sql);
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.#sql.prepare(text);
      statement.setReturnArrays(true);
      this.#statements.set(text, statement);
    }
    return statement;
  }
}

const NOTHING: IndexedContent = {
  envelope: undefined,
  body: undefined,
  bodyStructure: undefined,
  headerFields: undefined,
  preview: undefined,
  emailId: undefined,
  threadId: undefined,
};

function wantsKept({ names, not }: { names: readonly string[]; not: boolean }): boolean {
  return !not && names.every((name) => KEPT_FIELDS.has(name.toLowerCase()));
}

/** Whole fields, with their folding, of the lines that are kept; and the empty line. */
function pickFields(kept: string, names: readonly string[]): string {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  let out = '';
  let take = false;
  for (let start = 0; start < kept.length; ) {
    const end = kept.indexOf('\r\n', start) + 2;
    const sign = kept.charCodeAt(start);
    if (sign !== 0x20 && sign !== 0x09) take = wanted.has(kept.slice(start, kept.indexOf(':', start)).toLowerCase());
    if (take) out += kept.slice(start, end);
    start = end;
  }
  return `${out}\r\n`;
}
