import type { Command } from '../command/parse.ts';
import type { Input } from '../syntax/input.ts';
import type { Context } from './context.ts';
import { bad } from './errors.ts';
import { handleAuthenticate, handleLogin } from './handle-authenticate.ts';
import { handleCopy, handleMove } from './handle-copy.ts';
import { handleClose, handleExpunge, handleUnselect } from './handle-expunge.ts';
import { handleFetch } from './handle-fetch.ts';
import { handleIdle } from './handle-idle.ts';
import { handleList } from './handle-list.ts';
import { handleCreate, handleDelete, handleRename, handleSubscribe } from './handle-mailbox.ts';
import { handleSearch, handleSort, handleThread } from './handle-search.ts';
import { handleSelect } from './handle-select.ts';
import { handleCapability, handleEnable, handleId, handleNamespace, handleNoop } from './handle-session.ts';
import { handleGetQuota, handleGetQuotaRoot, handleStatus } from './handle-status.ts';
import { handleStore } from './handle-store.ts';

/** Works on a command that its state allows; the text of the tagged OK. Rejects with what `refusalOf` makes an answer of. */
export async function dispatch(context: Context, input: Input, command: Command, tag: string): Promise<string> {
  switch (command.verb) {
    case 'AUTHENTICATE':
      return handleAuthenticate(context, input, command);
    case 'CAPABILITY':
      return handleCapability(context);
    case 'CHECK':
    case 'NOOP':
      return handleNoop(context);
    case 'CLOSE':
      return handleClose(context);
    case 'COPY':
      return handleCopy(context, command);
    case 'CREATE':
      return handleCreate(context, command.mailbox, command.uses);
    case 'DELETE':
      return handleDelete(context, command.mailbox);
    case 'ENABLE':
      return handleEnable(context, command.names);
    case 'EXAMINE':
    case 'SELECT':
      return handleSelect(context, command);
    case 'EXPUNGE':
      return handleExpunge(context, command.uids);
    case 'FETCH':
      return handleFetch(context, command);
    case 'GETQUOTA':
      return handleGetQuota(context, command.mailbox);
    case 'GETQUOTAROOT':
      return handleGetQuotaRoot(context, command.mailbox);
    case 'ID':
      return handleId(context);
    case 'IDLE':
      return handleIdle(context, input);
    case 'LIST':
    case 'LSUB':
      return handleList(context, command);
    case 'LOGIN':
      return handleLogin(context, command.user, command.password);
    case 'MOVE':
      return handleMove(context, command);
    case 'NAMESPACE':
      return handleNamespace(context);
    case 'RENAME':
      return handleRename(context, command.from, command.to);
    case 'SEARCH':
      return handleSearch(context, command, tag);
    case 'SORT':
      return handleSort(context, command, tag);
    case 'STATUS':
      return handleStatus(context, command.mailbox, command.items);
    case 'STORE':
      return handleStore(context, command);
    case 'SUBSCRIBE':
    case 'UNSUBSCRIBE':
      return handleSubscribe(context, command.mailbox, command.verb === 'SUBSCRIBE');
    case 'THREAD':
      return handleThread(context, command);
    case 'UNSELECT':
      return handleUnselect(context);
    case 'LOGOUT':
    case 'STARTTLS':
      break; // the session's own
  }
  throw bad('No such command');
}
