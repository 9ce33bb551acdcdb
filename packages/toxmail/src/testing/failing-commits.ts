import type { Database } from '../store/database.ts';

/**
 * Makes transactions of a database fail: `fail` is asked twice for each, before its commit and after it. What it returns
 * is thrown; before the commit, all of the transaction is undone.
 */
export function failCommits(db: Database, fail: (when: 'before' | 'after') => Error | undefined): void {
  const transaction = db.transaction.bind(db);
  const ask = (when: 'before' | 'after'): void => {
    const error = fail(when);
    if (error) throw error;
  };
  db.transaction = (work) => {
    const result = transaction(() => {
      const value = work();
      ask('before');
      return value;
    });
    ask('after');
    return result;
  };
}
