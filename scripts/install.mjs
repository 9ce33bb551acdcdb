/**
 * Brings node_modules to what package-lock.json says, if it is not there already. Plain JavaScript
 * for Node 20, without dependencies: it runs before anything is installed.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

/** A lock whose holder has not touched it for so long belongs to a process that died. */
const LOCK_STALE_MS = 10_000;
const LOCK_TOUCH_MS = 1_000;
const LOCK_POLL_MS = 200;
/** Lines of npm's output shown when an installation fails. */
const SHOWN_LINES = 20;

const DEPENDENCY_FIELDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];

/** Installs if needed. Throws an Error with a text for people when npm fails. */
export async function install(root) {
  if (whyInstall(root) === undefined) return;
  await withLock(join(root, '.install.lock'), async () => {
    const reason = whyInstall(root); // another process may have installed meanwhile
    if (reason !== undefined) await npmCi(root, reason);
  });
}

/**
 * Undefined if everything that package-lock.json names is installed, else why not. npm writes
 * node_modules/.package-lock.json when it has finished, so that file is the record to compare with.
 */
export function whyInstall(root) {
  const lock = readJson(join(root, 'package-lock.json'));
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'));
  if (!lock || !installed) return 'first start';
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (!path.includes('node_modules/')) {
      const manifest = readJson(join(root, path, 'package.json')) ?? {};
      if (DEPENDENCY_FIELDS.some((field) => !isDeepStrictEqual(manifest[field] ?? {}, entry[field] ?? {})))
        return 'dependencies changed';
      continue;
    }
    const found = installed.packages[path];
    if (!found && entry.optional) continue; // built for another platform
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) return 'dependencies changed';
  }
  if (!existsSync(pinnedNode(root)) && !runsTypeScript()) return 'Node 24 is missing';
  return undefined;
}

/** The Node that runs the project: the pinned one if it is there, else this one if it is new enough. */
export function projectNode(root) {
  if (existsSync(pinnedNode(root))) return pinnedNode(root);
  if (runsTypeScript()) return process.execPath;
  throw new Error(
    'Node 24 or newer is needed. It comes with the npm package "node", whose install script did not run; ' +
      'install Node 24, or allow that script and start again.',
  );
}

function pinnedNode(root) {
  return join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

function runsTypeScript() {
  return Number(process.versions.node.split('.')[0]) >= 24;
}

async function npmCi(root, reason) {
  const started = Date.now();
  process.stderr.write(`Installing dependencies (${reason}) … `);
  // Under `npm start` the running npm tells where it is; otherwise it is on the PATH.
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js') ? process.env.npm_execpath : undefined;
  const args = ['ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional'];
  const options = { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] };
  const child = npm
    ? spawn(process.env.npm_node_execpath ?? process.execPath, [npm, ...args], options)
    : spawn('npm', args, { ...options, shell: process.platform === 'win32' });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk));
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('close', (status) => resolve(status ?? 1));
  });
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  if (code === 0) {
    process.stderr.write(`done in ${seconds} s\n`);
    return;
  }
  process.stderr.write(`failed after ${seconds} s\n`);
  const said = Buffer.concat(output).toString().split('\n');
  const errors = said.filter((line) => line.startsWith('npm error'));
  const lines = (errors.length > 0 ? errors : said).slice(0, SHOWN_LINES).join('\n');
  throw new Error(`${lines}\nnpm ci failed. Check the network connection, then start again.`);
}

/** Runs `work` while no other process does. The holder touches the file; one that stopped lost it. */
async function withLock(path, work) {
  for (let told = false; !tryCreate(path); told = true) {
    if (!told) process.stderr.write('Another process is installing; waiting for it …\n');
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    const age = ageOf(path);
    if (age !== undefined && age > LOCK_STALE_MS) rmSync(path, { force: true });
  }
  const touch = setInterval(() => {
    const now = new Date();
    utimesSync(path, now, now);
  }, LOCK_TOUCH_MS);
  try {
    await work();
  } finally {
    clearInterval(touch);
    rmSync(path, { force: true });
  }
}

function tryCreate(path) {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw new Error(`Cannot write ${path} (${error.code}). Dependencies are missing, and this folder is not writable.`);
  }
}

function ageOf(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
