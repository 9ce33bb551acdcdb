import { decodeModifiedUtf7, encodeModifiedUtf7, shifted } from './modified-utf7.ts';
import { MailboxError } from './types.ts';

/**
 * Names of folders and of their places in a Maildir++: `Archive/2026` is `.Archive.2026`, each level in modified UTF-7
 * (ADR 23). A dot within a level is shifted, as it parts levels on the disk.
 */
export const INBOX = 'INBOX';
export const SEPARATOR = '/';

/** File systems take 255 bytes; programs put theirs behind a name. */
const PLACE_MAX = 240;
/** RFC 9051 sets none; each level is a line that clients draw. */
const LEVELS_MAX = 20;

/** The name in its one form: NFC, `INBOX` in capitals also as first level. Throws MailboxError. */
export function checkedName(name: string): string {
  const levels = name.normalize('NFC').split(SEPARATOR);
  if (levels[0]?.toUpperCase() === INBOX) levels[0] = INBOX;
  if (levels.length > LEVELS_MAX) throw new MailboxError('bad-name', `More than ${LEVELS_MAX} levels of folders`);
  for (const level of levels) {
    if (level === '') throw new MailboxError('bad-name', 'A folder name has no empty levels');
    if (!level.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}\ufffd]/u.test(level))
      throw new MailboxError('bad-name', 'A folder name holds no control characters');
    if (/^\s|\s$/.test(level)) throw new MailboxError('bad-name', 'A folder name has no blanks around it');
    if (level === '.' || level === '..' || /[%*]/.test(level))
      throw new MailboxError('bad-name', 'This cannot be the name of a folder');
  }
  const checked = levels.join(SEPARATOR);
  if (Buffer.byteLength(placeOf(checked)) > PLACE_MAX)
    throw new MailboxError('bad-name', 'The folder name is too long');
  return checked;
}

/** The folder of the disk, relative to the Maildir; empty for INBOX. */
export function placeOf(name: string): string {
  if (name === INBOX) return '';
  return `.${name
    .split(SEPARATOR)
    .map((level) => encodeModifiedUtf7(level).replaceAll('.', shifted('.')))
    .join('.')}`;
}

/** Undefined if a folder of the disk is none of ours. Levels that are not modified UTF-7 are taken as they are. */
export function nameOf(place: string): string | undefined {
  if (!place.startsWith('.') || place.includes('\ufffd')) return undefined;
  const levels = place.slice(1).split('.');
  const name = levels.map((level) => decodeModifiedUtf7(level) ?? level).join(SEPARATOR);
  try {
    return name === checkedName(name) && name !== INBOX ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The levels above, outermost first. */
export function parentsOf(name: string): string[] {
  const levels = name.split(SEPARATOR);
  return levels.slice(1).map((_, n) => levels.slice(0, n + 1).join(SEPARATOR));
}
