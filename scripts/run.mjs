/**
 * What `npm start`, `npm test` and the other npm scripts run: install what is missing, then do the
 * task under the pinned Node. Plain JavaScript for Node 20 or newer.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { NODE_FLAGS } from '../packages/toxmail/bin/node-flags.mjs';
import { stopWithNpm } from '../packages/toxmail/bin/parent-watch.mjs';
import { install, projectNode } from './install.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (path) => join(root, 'node_modules', path);
const biome = [bin('@biomejs/biome/bin/biome'), 'ci', '--error-on-warnings', '.'];
const types = [bin('typescript/bin/tsc'), '-p', root];
/** Two test files at a time: more would only slow each other down on a small machine. */
const testFlags = ['--test', '--test-concurrency=2', '--test-timeout=120000'];

/** Each task: the commands it runs one after the other, as arguments of the pinned Node. */
const tasks = {
  start: (args) => [[...NODE_FLAGS, join(root, 'packages/toxmail/bin/toxmail.mjs'), ...args]],
  test: (args) => [[...testFlags, ...(args.length > 0 ? args : testFiles('packages', '.test.ts'))]],
  lint: () => [biome, types],
  check: () => [...tasks.lint(), ...tasks.test([])],
  demo: (args) => [[join(root, 'scripts/demo.mjs'), ...args]],
  interop: (args) => [
    ['--test', '--test-concurrency=1', ...(args.length > 0 ? args : testFiles('interop', '.test.ts'))],
  ],
  netlab: (args) => [[join(root, 'interop/netlab/main.ts'), ...args]],
  sim: (args) => [['--expose-gc', '--test', ...(args.length > 0 ? args : testFiles('packages', '.sim.ts'))]],
  format: () => [[bin('@biomejs/biome/bin/biome'), 'check', '--write', '.']],
  fuzz: (args) => [
    [
      ...['--import', pathToFileURL(join(root, 'scripts/fuzz-setup.mjs')).href, '--test', '--test-concurrency=2'],
      ...(args.length > 0 ? args : testFiles('packages', '.fuzz.ts')),
    ],
  ],
};
/** Tasks that are one long-lived program: it ends when this process is gone, even by SIGKILL. */
const programs = new Set(['start', 'demo']);

const [name = '', ...args] = process.argv.slice(2);
if (!Object.hasOwn(tasks, name)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tasks).join('|')} [arguments]`);
  process.exit(2);
}
if (programs.has(name)) stopWithNpm();
try {
  await install(root);
  const node = projectNode(root);
  for (const command of tasks[name](args)) {
    const status = await run(node, command, programs.has(name));
    if (status !== 0) process.exit(status);
  }
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

/** Runs one command to its end; resolves to its exit status (128 + n after signal n, as shells do). */
function run(node, command, isProgram) {
  const child = spawn(node, command, {
    cwd: isProgram ? process.cwd() : root,
    env: isProgram ? process.env : neutralEnvironment(),
    stdio: isProgram ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
  });
  const pass = (signal) => child.kill(signal);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      for (const each of signals) process.off(each, pass);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** Files under `folder` whose name ends with `ending`; dependencies are not searched. */
function testFiles(folder, ending) {
  if (!existsSync(join(root, folder))) return [];
  const files = readdirSync(join(root, folder), { recursive: true })
    .filter((path) => path.endsWith(ending) && !path.split(sep).includes('node_modules'))
    .map((path) => join(folder, path));
  if (files.length === 0) throw new Error(`No *${ending} files under ${folder}/ yet.`);
  return files.sort();
}

/** Tests see no settings of the person who runs them, except the switches of the interop, sim and fuzz tests. */
function neutralEnvironment() {
  const kept = (key) =>
    key === 'TOXMAIL_INTEROP' ||
    key === 'TOXMAIL_SIM_NODES' ||
    key.startsWith('TOXMAIL_FUZZ_') ||
    !(key.startsWith('TOXMAIL_') || key === 'NODE_TEST_CONTEXT');
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => kept(key)));
}
