import { join } from 'node:path';
import { writeDurably } from '../base/durable.ts';
import type { FileSystem } from '../base/files.ts';
import { SEPARATOR } from './folder-name.ts';

/** Subscribed folders (RFC 9051 §6.3.7), in the form of Dovecot's file: levels parted by tabs, which it escapes. */
const FILE = 'subscriptions';
const HEADER = 'V\t2\n\n';
const SIZE_MAX = 1024 * 1024;

/** Undefined if there is no such file. */
export async function readSubscriptions(files: FileSystem, root: string): Promise<string[] | undefined> {
  const text = await readText(files, join(root, FILE));
  if (text === undefined) return undefined;
  const second = text.startsWith(HEADER);
  const lines = (second ? text.slice(HEADER.length) : text).split('\n').filter((line) => line !== '');
  // The first version has names as on the disk, levels parted by dots.
  return lines.map((line) =>
    line
      .split(second ? '\t' : '.')
      .map(unescaped)
      .join(SEPARATOR),
  );
}

export async function writeSubscriptions(files: FileSystem, root: string, names: readonly string[]): Promise<void> {
  const lines = names.map((name) => `${name.split(SEPARATOR).map(escaped).join('\t')}\n`);
  await writeDurably(files, join(root, FILE), Buffer.from(HEADER + lines.join('')));
}

/** Undefined if there is no such file; at most SIZE_MAX bytes of it. */
export async function readText(files: FileSystem, path: string): Promise<string | undefined> {
  const stat = await files.stat(path);
  if (!stat) return undefined;
  const file = await files.open(path, 'read');
  try {
    const bytes = new Uint8Array(Math.min(stat.size, SIZE_MAX));
    return Buffer.from(bytes.subarray(0, await file.read(bytes, 0))).toString('utf8');
  } finally {
    await file.close();
  }
}

const ESCAPES: readonly (readonly [sign: string, code: string])[] = [
  ['\u0001', '\u00011'],
  ['\t', '\u0001t'],
  ['\r', '\u0001r'],
  ['\n', '\u0001n'],
];

function escaped(level: string): string {
  return ESCAPES.reduce((text, [sign, code]) => text.replaceAll(sign, code), level);
}

function unescaped(level: string): string {
  return ESCAPES.reduceRight((text, [sign, code]) => text.replaceAll(code, sign), level);
}
