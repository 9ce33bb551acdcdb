// The index's thread, with a weakness: it dies of files whose names tell how.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { openSync } = fs;
fs.openSync = (path, ...more) => {
  if (String(path).includes('deadly')) process.exit(1);
  if (String(path).includes('hungry')) for (const eaten: unknown[] = []; ; ) eaten.push(new Array(10_000).fill({}));
  if (String(path).includes('endless')) for (;;);
  return openSync(path, ...more);
};
syncBuiltinESMExports();
await import('../../src/mailbox/index/index-thread.ts');
