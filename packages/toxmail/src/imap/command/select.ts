import type { Decoder } from '../syntax/decoder.ts';
import type { MessageSet } from '../syntax/sequence-set.ts';
import { readMailbox } from './arguments.ts';

/** RFC 7162 §3.2.5: what a client knew of the mailbox when it saw it last. */
export interface QresyncState {
  readonly uidValidity: number;
  readonly modSeq: number;
  readonly knownUids: MessageSet | undefined;
}

export interface SelectCommand {
  readonly verb: 'SELECT' | 'EXAMINE';
  readonly mailbox: string;
  readonly condstore: boolean;
  readonly qresync: QresyncState | undefined;
}

/** `select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]` */
export function readSelect(d: Decoder, verb: SelectCommand['verb']): SelectCommand {
  d.space();
  const mailbox = readMailbox(d);
  let condstore = false;
  let qresync: QresyncState | undefined;
  if (d.skipSpace()) {
    d.list(() => {
      const parameter = d.word();
      if (parameter === 'CONDSTORE') condstore = true;
      else if (parameter === 'QRESYNC') qresync = readQresync(d);
      else d.fail('no such parameter');
    });
  }
  return { verb, mailbox, condstore, qresync };
}

/**
 * `"QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"`,
 * `seq-match-data = "(" known-sequence-set SP known-uid-set ")"`. The last only saves bytes for servers that forget
 * expunged UIDs; it is read and not used.
 */
function readQresync(d: Decoder): QresyncState {
  d.space();
  d.expect('(');
  const uidValidity = d.nzNumber();
  d.space();
  const modSeq = d.number64();
  let knownUids: MessageSet | undefined;
  while (d.skipSpace()) {
    if (d.skip('(')) {
      d.messageSet();
      d.space();
      d.messageSet();
      d.expect(')');
    } else knownUids = d.messageSet();
  }
  d.expect(')');
  return { uidValidity, modSeq, knownUids };
}
