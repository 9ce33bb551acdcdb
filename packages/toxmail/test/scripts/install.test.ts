import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';

const SCRIPT = new URL('../../../../scripts/install.mjs', import.meta.url).href;
const { whyInstall } = (await import(SCRIPT)) as { whyInstall(root: string): string | undefined };

const MANIFEST = { dependencies: { one: '1.0.0' } };
const LOCK = {
  packages: {
    '': { dependencies: { one: '1.0.0' } },
    'node_modules/one': { version: '1.0.0', integrity: 'sha512-A' },
    'node_modules/elsewhere': { version: '1.0.0', integrity: 'sha512-B', optional: true },
  },
};
const INSTALLED = { packages: { 'node_modules/one': LOCK.packages['node_modules/one'] } };

/** A checkout with these files; `node` is there as well. */
function checkout(t: TestContext, files: Record<string, unknown>): string {
  const root = mkdtempSync(join(tmpdir(), 'toxmail-install-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [name, content] of Object.entries({ 'node_modules/node/bin/node': '', ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return root;
}

const COMPLETE = { 'package.json': MANIFEST, 'package-lock.json': LOCK, 'node_modules/.package-lock.json': INSTALLED };

test('a complete installation is left alone, packages for other platforms need not be there', (t) => {
  assert.equal(whyInstall(checkout(t, COMPLETE)), undefined);
});

test('a fresh clone, a changed version, a changed content and a changed manifest need an installation', (t) => {
  const needs = (change: Record<string, unknown>): string | undefined =>
    whyInstall(checkout(t, { ...COMPLETE, ...change }));
  const { 'node_modules/.package-lock.json': _, ...fresh } = COMPLETE;
  assert.equal(whyInstall(checkout(t, fresh)), 'first start');
  const one = LOCK.packages['node_modules/one'];
  for (const other of [{ ...one, version: '1.0.1' }, { ...one, integrity: 'sha512-C' }, undefined])
    assert.equal(
      needs({ 'node_modules/.package-lock.json': { packages: { 'node_modules/one': other } } }),
      'dependencies changed',
    );
  assert.equal(needs({ 'package.json': { dependencies: { one: '1.0.0', two: '1.0.0' } } }), 'dependencies changed');
  assert.equal(needs({ 'node_modules/.package-lock.json': '{ half' }), 'first start');
});

test('two starts at the same moment install once', async (t) => {
  const { 'node_modules/.package-lock.json': _, ...fresh } = COMPLETE;
  const root = checkout(t, {
    ...fresh,
    // Stands for npm: notes that it was called, takes its time, and leaves the record of a finished installation.
    'npm-cli.js': `const fs = require('node:fs');
      fs.appendFileSync('calls', process.argv[2] + '\\n');
      setTimeout(() => fs.writeFileSync('node_modules/.package-lock.json', ${JSON.stringify(JSON.stringify(INSTALLED))}), 300);`,
  });
  const start = async (): Promise<number | null> => {
    const program = `const { install } = await import(${JSON.stringify(SCRIPT)}); await install(${JSON.stringify(root)});`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: 'ignore',
      env: { ...process.env, npm_execpath: join(root, 'npm-cli.js'), npm_node_execpath: process.execPath },
    });
    const [code] = await once(child, 'exit');
    return code;
  };
  assert.deepEqual(await Promise.all([start(), start(), start()]), [0, 0, 0]);
  assert.equal(readFileSync(join(root, 'calls'), 'utf8'), 'ci\n');
  assert.equal(existsSync(join(root, '.install.lock')), false);
});

test('a failed installation says what npm said, and does not block the next', async (t) => {
  const { 'node_modules/.package-lock.json': _, ...fresh } = COMPLETE;
  const root = checkout(t, {
    ...fresh,
    'npm-cli.js': `console.log('much output'); console.error('npm error network is down'); process.exit(1);`,
  });
  const program = `const { install } = await import(${JSON.stringify(SCRIPT)});
    await install(${JSON.stringify(root)}).catch((error) => { console.log(error.message); process.exit(3); });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, npm_execpath: join(root, 'npm-cli.js'), npm_node_execpath: process.execPath },
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 3);
  assert.match(said, /^npm error network is down\nnpm ci failed/);
  assert.equal(existsSync(join(root, '.install.lock')), false);
});
