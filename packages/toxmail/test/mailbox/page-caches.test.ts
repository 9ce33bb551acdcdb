import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { PageCaches } from '../../src/mailbox/index/page-caches.ts';

const MB = 2 ** 20;

test('of thirty indexes in use the pages of a few are in memory, also when one was closed', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-pages-'));
  const path = join(folder, 'index.db');
  const made = new DatabaseSync(path);
  made.exec('PRAGMA page_size = 16384; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)');
  made.exec(
    'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 600) INSERT INTO t SELECT n, zeroblob(15000) FROM c',
  );
  made.close();
  const all = Array.from({ length: 30 }, () => new DatabaseSync(path, { readOnly: true }));
  t.after(() => {
    for (const sql of all) if (sql.isOpen) sql.close();
    rmSync(folder, { recursive: true });
  });
  const caches = new PageCaches();
  const before = process.memoryUsage.rss();
  for (const [i, sql] of all.entries()) {
    sql.exec('PRAGMA cache_size = -8192');
    caches.used(sql);
    assert.equal(sql.prepare('SELECT count(x) AS n FROM t').get()?.n, 600);
    if (i === 10) sql.close();
  }
  assert.ok(process.memoryUsage.rss() - before < 100 * MB, 'and not 8 MB for each');
});
