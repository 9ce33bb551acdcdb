import { formatHeader, type HeaderField } from '../message/header.ts';
import { readMailFile } from './mail-file.ts';
import { UNKNOWN } from './mail-table.ts';
import { type PartPlaces, parseHead, parseParts, places, type ReadAt, threadIdOf } from './mime/parse-mail.ts';
import { previewOf } from './mime/search-text.ts';
import { ancestors, messageId } from './mime/threading.ts';
import { bodyStructure, envelope } from './mime/wire-text.ts';
import type { MessageRecord, Wanted } from './types.ts';

/**
 * What FETCH gives of mails that the index has not read yet, from their files: who opens a large folder for the first
 * time sees it while the index is being made. Undefined for what is left to the index's thread: large mails, and files
 * that are not there under this name or cannot be read.
 */

/** A larger mail may take more than a millisecond. */
const SIZE_MAX = 64 * 1024;
const LF = 0x0a;

/** `size`: what the file's name says that the mail has in octets; UNKNOWN if it says nothing. */
export function readRecord(path: string, uid: number, size: number, want: Wanted): MessageRecord | undefined {
  return onTheSpot(path, (readAt, file) => {
    if (file.size > SIZE_MAX) {
      // Programs do not agree about the size of a mail whose last line has no end.
      if (size === UNKNOWN || !ofHeaderOnly(want) || lastByte(readAt, file.size) !== LF) return undefined;
      const header = parseHead(readAt);
      return header && { ...NOTHING, ...fromHeader(header, want), uid, size, internalDateMs: file.mtimeMs };
    }
    const { root, emailId, read } = parseParts(readAt);
    const id = want.objectIds ? emailId() : undefined;
    return {
      ...NOTHING,
      ...fromHeader(root.header, want),
      uid,
      size: root.wire.end,
      internalDateMs: file.mtimeMs,
      ...(want.body && { body: bodyStructure(root, false) }),
      ...(want.bodyStructure && { bodyStructure: bodyStructure(root, true) }),
      ...(want.preview && { preview: previewOf(root, read) }),
      ...(id && { emailId: id, threadId: threadIdOf(ancestors(root.header), messageId(root.header), id) }),
    };
  });
}

/** Where the mail's parts are. */
export function readPlaces(path: string): { readonly root: PartPlaces; readonly internalDateMs: number } | undefined {
  return onTheSpot(path, (readAt, file) =>
    file.size > SIZE_MAX ? undefined : { root: places(parseParts(readAt).root), internalDateMs: file.mtimeMs },
  );
}

const NOTHING = {
  body: undefined,
  bodyStructure: undefined,
  preview: undefined,
  emailId: undefined,
  threadId: undefined,
};

function ofHeaderOnly({ body, bodyStructure, preview, objectIds }: Wanted): boolean {
  return !(body || bodyStructure || preview || objectIds);
}

function lastByte(readAt: ReadAt, size: number): number | undefined {
  const byte = new Uint8Array(1);
  readAt(byte, size - 1);
  return byte[0];
}

function fromHeader(
  header: readonly HeaderField[],
  { envelope: wanted, headerFields }: Wanted,
): Pick<MessageRecord, 'envelope' | 'headerFields'> {
  const names = new Set(headerFields?.names.map((name) => name.toLowerCase()));
  return {
    envelope: wanted ? envelope(header) : undefined,
    headerFields:
      headerFields && formatHeader(header.filter(({ name }) => names.has(name.toLowerCase()) !== headerFields.not)),
  };
}

function onTheSpot<T>(path: string, read: Parameters<typeof readMailFile<T>>[1]): T | undefined {
  try {
    return readMailFile(path, read);
  } catch {
    return undefined; // the index's thread meets the same error, and tells of it
  }
}
