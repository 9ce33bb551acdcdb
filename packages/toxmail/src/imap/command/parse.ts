import { Decoder } from '../syntax/decoder.ts';
import type { MessageSet } from '../syntax/sequence-set.ts';
import { readMailbox } from './arguments.ts';
import { type FetchCommand, readFetch } from './fetch.ts';
import { type ListCommand, readList, readLsub } from './list.ts';
import {
  readSearch,
  readSort,
  readThread,
  type SearchCommand,
  type SortCommand,
  type ThreadCommand,
} from './search.ts';
import { readSelect, type SelectCommand } from './select.ts';
import { readStatus, type StatusCommand } from './status.ts';
import { readStore, type StoreCommand } from './store.ts';

export type PlainVerb =
  | 'CAPABILITY'
  | 'CHECK'
  | 'CLOSE'
  | 'IDLE'
  | 'LOGOUT'
  | 'NAMESPACE'
  | 'NOOP'
  | 'STARTTLS'
  | 'UNSELECT';

export type MailboxVerb = 'DELETE' | 'GETQUOTA' | 'GETQUOTAROOT' | 'SUBSCRIBE' | 'UNSUBSCRIBE';

export type Command =
  | { readonly verb: PlainVerb }
  | { readonly verb: MailboxVerb; readonly mailbox: string }
  | { readonly verb: 'ID'; readonly fields: ReadonlyMap<string, string | undefined> }
  | { readonly verb: 'AUTHENTICATE'; readonly mechanism: string; readonly initial: string | undefined }
  | { readonly verb: 'LOGIN'; readonly user: string; readonly password: string }
  | { readonly verb: 'ENABLE'; readonly names: readonly string[] }
  | { readonly verb: 'CREATE'; readonly mailbox: string; readonly uses: readonly string[] }
  | { readonly verb: 'RENAME'; readonly from: string; readonly to: string }
  | { readonly verb: 'EXPUNGE'; readonly uids: MessageSet | undefined }
  | { readonly verb: 'COPY' | 'MOVE'; readonly uid: boolean; readonly set: MessageSet; readonly mailbox: string }
  | FetchCommand
  | ListCommand
  | SearchCommand
  | SelectCommand
  | SortCommand
  | StatusCommand
  | StoreCommand
  | ThreadCommand;

export type Verb = Command['verb'];

/** Where a command may be given: RFC 9051 §6.1 to §6.4. */
export type CommandState = 'any' | 'not-authenticated' | 'authenticated' | 'selected';

interface Row {
  readonly state: CommandState;
  readonly read: (d: Decoder) => Command;
}

export type Parsed =
  | { readonly kind: 'command'; readonly tag: string; readonly state: CommandState; readonly command: Command }
  /** `tag` is undefined if not even that could be read. */
  | { readonly kind: 'bad'; readonly tag: string | undefined; readonly text: string };

/** `command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF`, without the CRLF. */
export function parseCommand(bytes: Buffer): Parsed {
  const d = new Decoder(bytes);
  const tag = d.tag();
  if (d.failure !== undefined) return { kind: 'bad', tag: undefined, text: 'A tag is expected' };
  d.space();
  const row = VERBS[d.keyword()];
  if (!row || d.failure !== undefined) return { kind: 'bad', tag, text: 'No such command' };
  const command = row.read(d);
  d.end();
  if (d.failure !== undefined) return { kind: 'bad', tag, text: `Bad arguments: ${d.failure}` };
  return { kind: 'command', tag, state: row.state, command };
}

/** `"UID" SP (copy / move / fetch / search / store / "EXPUNGE" SP sequence-set)`, RFC 9051 §6.4.9, RFC 5256. */
function readUid(d: Decoder): Command {
  d.space();
  const verb = d.keyword();
  switch (verb) {
    case 'COPY':
    case 'MOVE':
      return readCopy(d, verb, true);
    case 'FETCH':
      return readFetch(d, true);
    case 'SEARCH':
      return readSearch(d, true);
    case 'SORT':
      return readSort(d, true);
    case 'STORE':
      return readStore(d, true);
    case 'THREAD':
      return readThread(d, true);
    case 'EXPUNGE':
      d.space();
      return { verb: 'EXPUNGE', uids: d.messageSet() };
  }
  d.fail('no such UID command');
  return { verb: 'NOOP' };
}

/** `copy = "COPY" SP sequence-set SP mailbox` */
function readCopy(d: Decoder, verb: 'COPY' | 'MOVE', uid: boolean): Command {
  d.space();
  const set = d.messageSet();
  d.space();
  return { verb, uid, set, mailbox: readMailbox(d) };
}

/** RFC 6154 §3: `create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]` */
function readCreate(d: Decoder): Command {
  d.space();
  const mailbox = readMailbox(d);
  const uses: string[] = [];
  if (d.skipSpace()) {
    d.list(() => {
      if (d.word() !== 'USE') d.fail('USE expected');
      d.space();
      d.list(() => {
        d.expect('\\');
        uses.push(`\\${d.atom()}`);
      });
    });
  }
  return { verb: 'CREATE', mailbox, uses };
}

/** `rename = "RENAME" SP mailbox SP mailbox` */
function readRename(d: Decoder): Command {
  d.space();
  const from = readMailbox(d);
  d.space();
  return { verb: 'RENAME', from, to: readMailbox(d) };
}

/** RFC 2971: `id = "ID" SP ("(" *(string SP nstring) ")" / nil)`, at most 30 fields. */
function readId(d: Decoder): Command {
  d.space();
  const fields = new Map<string, string | undefined>();
  if (d.skipWord('NIL')) return { verb: 'ID', fields };
  d.list(() => {
    const name = d.string().toLowerCase();
    d.space();
    if (fields.size === ID_FIELDS_MAX) d.fail('too many fields');
    fields.set(name, d.nstring());
  });
  return { verb: 'ID', fields };
}

/** RFC 4959: `authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]` */
function readAuthenticate(d: Decoder): Command {
  d.space();
  const mechanism = d.keyword();
  return { verb: 'AUTHENTICATE', mechanism, initial: d.skipSpace() ? d.atom() : undefined };
}

/** `login = "LOGIN" SP userid SP password` */
function readLogin(d: Decoder): Command {
  d.space();
  const user = d.astring();
  d.space();
  return { verb: 'LOGIN', user, password: d.astring() };
}

/** RFC 5161: `enable = "ENABLE" 1*(SP capability)` */
function readEnable(d: Decoder): Command {
  const names: string[] = [];
  do {
    d.space();
    names.push(d.keyword());
  } while (!d.atEnd && names.length < ENABLE_MAX);
  return { verb: 'ENABLE', names };
}

const plain = (verb: PlainVerb, state: CommandState): Row => ({ state, read: () => ({ verb }) });
const ofMailbox = (verb: MailboxVerb): Row => ({
  state: 'authenticated',
  read(d) {
    d.space();
    return { verb, mailbox: readMailbox(d) };
  },
});

const ID_FIELDS_MAX = 30;
const ENABLE_MAX = 50;

const VERBS: Record<string, Row> = {
  __proto__: null as never, // a verb is looked up as the client wrote it
  CAPABILITY: plain('CAPABILITY', 'any'),
  ID: { state: 'any', read: readId },
  LOGOUT: plain('LOGOUT', 'any'),
  NOOP: plain('NOOP', 'any'),
  AUTHENTICATE: { state: 'not-authenticated', read: readAuthenticate },
  LOGIN: { state: 'not-authenticated', read: readLogin },
  STARTTLS: plain('STARTTLS', 'not-authenticated'),
  CREATE: { state: 'authenticated', read: readCreate },
  DELETE: ofMailbox('DELETE'),
  ENABLE: { state: 'authenticated', read: readEnable },
  EXAMINE: { state: 'authenticated', read: (d) => readSelect(d, 'EXAMINE') },
  GETQUOTA: ofMailbox('GETQUOTA'),
  GETQUOTAROOT: ofMailbox('GETQUOTAROOT'),
  IDLE: plain('IDLE', 'authenticated'),
  LIST: { state: 'authenticated', read: readList },
  LSUB: { state: 'authenticated', read: readLsub },
  NAMESPACE: plain('NAMESPACE', 'authenticated'),
  RENAME: { state: 'authenticated', read: readRename },
  SELECT: { state: 'authenticated', read: (d) => readSelect(d, 'SELECT') },
  STATUS: { state: 'authenticated', read: readStatus },
  SUBSCRIBE: ofMailbox('SUBSCRIBE'),
  UNSUBSCRIBE: ofMailbox('UNSUBSCRIBE'),
  CHECK: plain('CHECK', 'selected'),
  CLOSE: plain('CLOSE', 'selected'),
  COPY: { state: 'selected', read: (d) => readCopy(d, 'COPY', false) },
  EXPUNGE: { state: 'selected', read: () => ({ verb: 'EXPUNGE', uids: undefined }) },
  FETCH: { state: 'selected', read: (d) => readFetch(d, false) },
  MOVE: { state: 'selected', read: (d) => readCopy(d, 'MOVE', false) },
  SEARCH: { state: 'selected', read: (d) => readSearch(d, false) },
  SORT: { state: 'selected', read: (d) => readSort(d, false) },
  STORE: { state: 'selected', read: (d) => readStore(d, false) },
  THREAD: { state: 'selected', read: (d) => readThread(d, false) },
  UID: { state: 'selected', read: readUid },
  UNSELECT: plain('UNSELECT', 'selected'),
};
