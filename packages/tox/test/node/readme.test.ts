import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('the example in the README runs as it stands and ends by itself', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1];
  assert.ok(example);
  const run = promisify(execFile)(
    process.execPath,
    ['--input-type=module-typescript', '--disable-warning=ExperimentalWarning', '--eval', example],
    { cwd: new URL('../..', import.meta.url), timeout: 20_000 },
  );
  assert.equal((await run).stdout, 'Bob reads: Hello, this is Alice\nYou wrote: Good morning\n');
});
