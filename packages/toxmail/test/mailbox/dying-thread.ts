// The index's thread, with weaknesses: it dies of files whose names tell how, and a file beside the index makes the disk full.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { DatabaseSync } from 'node:sqlite';

const { openSync } = fs;
fs.openSync = (path, ...more) => {
  if (String(path).includes('deadly')) process.exit(1);
  if (String(path).includes('hungry')) for (const eaten: unknown[] = []; ; ) eaten.push(new Array(10_000).fill({}));
  if (String(path).includes('endless')) for (;;);
  return openSync(path, ...more);
};
syncBuiltinESMExports();

const { exec } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function (sql): void {
  if (sql === 'COMMIT' && fs.existsSync(`${this.location()}.full`))
    throw Object.assign(new Error('database or disk is full'), { errcode: 13 });
  exec.call(this, sql);
};
await import('../../src/mailbox/index/index-thread.ts');
