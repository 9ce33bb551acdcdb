import type { Folder, FolderChange } from '../../mailbox/types.ts';
import {
  lowerBound,
  type MessageSet,
  positionOf,
  type Span,
  spansOfNumbers,
  spansOfPositions,
  spansOfUids,
} from '../syntax/sequence-set.ts';
import { bad } from './errors.ts';

/** Mails with changed flags that are remembered one by one; above, all are looked at. */
const CHANGED_MAX = 2_000;

/**
 * The folder as one session's client knows it: message numbers are positions in `uids`, an array that the folder shares
 * with all sessions. It moves on in `moveOn` only, when the client may be told (RFC 9051 §7.5.1).
 */
export class MailboxView {
  readonly folder: Folder;
  readonly readOnly: boolean;
  uids: Uint32Array;
  /** RFC 5182, `$`: UIDs, ascending. */
  saved: Uint32Array = NO_UIDS;
  /** Keywords that the client has been told of. */
  keywords: readonly string[];
  /** The folder was deleted or has new UIDs: the session must leave it. */
  gone = false;
  /** New mails were told in the answer to a command that had not asked for news: IDLE repeats it. */
  toldInPassing = false;
  /** Called when the client has something to be told; for IDLE. */
  onChange: () => void = () => {};
  #expunged = false;
  /** Bounded by CHANGED_MAX; then 'all' since #reportedModSeq. */
  #changed: Set<number> | 'all' = new Set();
  #reportedModSeq: number;
  readonly #unsubscribe: () => void;

  constructor(folder: Folder, readOnly: boolean) {
    this.folder = folder;
    this.readOnly = readOnly;
    this.#unsubscribe = folder.changes((change) => this.#note(change));
    this.uids = folder.uids;
    this.keywords = folder.keywords;
    this.#reportedModSeq = folder.highestModSeq;
  }

  close(): void {
    this.#unsubscribe();
    this.onChange = () => {};
  }

  get count(): number {
    return this.uids.length;
  }

  /** Message number, from 1; 0 if the client does not know of this mail. */
  numberOf(uid: number): number {
    return positionOf(this.uids, uid) + 1;
  }

  /** Position of a mail that stands at `position` or later: for a walk along ascending UIDs. */
  positionAfter(position: number, uid: number): number {
    const { uids } = this;
    if (uids[position + 1] === uid) return position + 1;
    return uids[position] === uid ? position : positionOf(uids, uid);
  }

  /** Where the folder has the mail at this position of the view; -1 if it has gone. */
  folderIndex(position: number): number {
    if (position < 0) return -1;
    return this.uids === this.folder.uids ? position : this.folder.indexOf(this.uids[position]!);
  }

  /** Positions in `uids`. Throws BAD for message numbers that the client cannot know. */
  resolve(set: MessageSet, byUid: boolean): Span[] {
    if (set === 'saved') return spansOfPositions(this.positionsOf(this.saved));
    if (byUid) return spansOfUids(set, this.uids);
    const spans = spansOfNumbers(set, this.count);
    if (!spans) throw bad('There is no mail of that number');
    return spans;
  }

  /** The UIDs of `spans`, without a copy where they are in one piece. */
  uidsOf(spans: readonly Span[]): Uint32Array {
    if (spans.length === 0) return NO_UIDS;
    if (spans.length === 1) return this.uids.subarray(spans[0]!.from, spans[0]!.to);
    const all = new Uint32Array(spans.reduce((sum, span) => sum + span.to - span.from, 0));
    let at = 0;
    for (const { from, to } of spans) {
      all.set(this.uids.subarray(from, to), at);
      at += to - from;
    }
    return all;
  }

  /** True if the client does not know all yet. */
  get stale(): boolean {
    return this.gone || this.uids !== this.folder.uids || this.#changed === 'all' || this.#changed.size > 0;
  }

  /** Mails whose flags others changed, ascending UIDs; they count as told. */
  takeChanged(): readonly number[] {
    const changed = this.#changed;
    this.#changed = new Set();
    const since = this.#reportedModSeq;
    this.#reportedModSeq = this.folder.highestModSeq;
    const { folder } = this;
    if (changed !== 'all') return [...changed].sort((a, b) => a - b);
    const uids: number[] = [];
    for (const [index, uid] of folder.uids.entries()) if (folder.modSeqAt(index) > since) uids.push(uid);
    return uids;
  }

  /** The client has changed flags, and the answer that would have told of them was broken off. */
  untold(): void {
    this.#changed = 'all';
  }

  /** The client knows this mail's flags: it was told, or it made them. */
  told(uid: number): void {
    if (this.#changed !== 'all') this.#changed.delete(uid);
  }

  /**
   * Takes the folder's present mails, if the client may be told of those that have gone or none have. `gone`: their
   * positions in `before`, the old view. Undefined: nothing may be told yet.
   */
  moveOn(mayExpunge: boolean): { gone: readonly number[]; before: Uint32Array; added: number } | undefined {
    const next = this.folder.uids;
    if (next === this.uids) return undefined;
    if (this.#expunged && !mayExpunge) return undefined;
    const old = this.uids;
    const gone: number[] = [];
    if (this.#expunged) {
      for (let i = 0, j = 0; i < old.length; i++) {
        while (j < next.length && next[j]! < old[i]!) j++;
        if (next[j] !== old[i]) gone.push(i);
      }
    }
    this.uids = next;
    this.#expunged = false;
    return { gone, before: old, added: next.length - (old.length - gone.length) };
  }

  /** Those of ascending `uids` that the client knows, as positions. */
  positionsOf(uids: Uint32Array): Uint32Array {
    const positions = new Uint32Array(uids.length);
    let count = 0;
    let at = uids.length > 0 ? lowerBound(this.uids, uids[0]!) : 0;
    for (const uid of uids) {
      while (at < this.uids.length && this.uids[at]! < uid) at++;
      if (this.uids[at] === uid) positions[count++] = at;
    }
    return positions.subarray(0, count);
  }

  #note(change: FolderChange): void {
    if (change.kind === 'gone') this.gone = true;
    else if (change.kind === 'expunged') this.#expunged = true;
    else if (change.kind === 'flags') {
      if (change.by === this) return; // the command that did it says so
      if (this.#changed !== 'all' && this.#changed.size + change.uids.length > CHANGED_MAX) this.#changed = 'all';
      if (this.#changed !== 'all') for (const uid of change.uids) this.#changed.add(uid);
    }
    this.onChange();
  }
}

const NO_UIDS = new Uint32Array(0);
