import type { Context } from './context.ts';

/** What holds in any state. Clients that ask before the log-in only must see all they use. */
const ALWAYS = ['IMAP4rev1', 'IMAP4rev2', 'LITERAL+', 'SASL-IR', 'ID', 'ENABLE', 'IDLE'];

const AUTHENTICATED = [
  'APPENDLIMIT',
  'BINARY',
  'CHILDREN',
  'CONDSTORE',
  'CREATE-SPECIAL-USE',
  'ESEARCH',
  'ESORT',
  'LIST-EXTENDED',
  'LIST-STATUS',
  'MOVE',
  'MULTIAPPEND',
  'NAMESPACE',
  'OBJECTID',
  'PREVIEW',
  'QRESYNC',
  'QUOTA',
  'QUOTA=RES-STORAGE',
  'SAVEDATE',
  'SEARCHRES',
  'SORT',
  'SORT=DISPLAY',
  'SPECIAL-USE',
  'STATUS=SIZE',
  'THREAD=ORDEREDSUBJECT',
  'THREAD=REFERENCES',
  'UIDPLUS',
  'UNSELECT',
  'UTF8=ACCEPT',
  'WITHIN',
];

/** RFC 9051 §7.2.2: what the session can do in its state. */
export function capabilities(context: Context): string {
  const { wire, login } = context;
  if (login) {
    const named = AUTHENTICATED.map((name) =>
      name === 'APPENDLIMIT' ? `APPENDLIMIT=${login.store.appendLimit}` : name,
    );
    return [...ALWAYS, ...named].join(' ');
  }
  const access = context.private ? ['AUTH=PLAIN', 'AUTH=LOGIN'] : ['LOGINDISABLED'];
  return [...ALWAYS, ...(wire.startTls && !wire.secure ? ['STARTTLS'] : []), ...access].join(' ');
}
