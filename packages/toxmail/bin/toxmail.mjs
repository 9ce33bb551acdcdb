#!/usr/bin/env -S node --max-semi-space-size=4
// Runs under any Node from 20 on: where that is too old for the program, the pinned Node 24 takes over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { NODE_FLAGS } from './node-flags.mjs';
import { stopWithNpm } from './parent-watch.mjs';

stopWithNpm();

const here = fileURLToPath(import.meta.url);

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // Garbage is collected when the heap has doubled, not grown fourfold: what a look into a large folder leaves goes soon.
  setFlagsFromString('--heap-growing-percent=100');
  await keepStripped();
  const { main } = await import('../src/cli/main.ts');
  process.exitCode = await main(process.argv.slice(2));
} else {
  const node = pinnedNode();
  if (node) relaunch(node);
  else {
    console.error('toxmail: Node 24 or newer is needed. In a checkout, run "npm start" once: it brings its own.');
    process.exitCode = 1;
  }
}

/**
 * In a checkout, what Node makes of the TypeScript sources is kept beside the dependencies: the next start takes half the
 * time, and the daemon 40 MB less, as neither it nor its threads load the compiler. A folder that cannot be written is no harm.
 */
async function keepStripped() {
  const modules = above('node_modules');
  if (!modules) return;
  process.env.NODE_COMPILE_CACHE ??= join(modules, '.cache', 'toxmail'); // for threads
  const { enableCompileCache } = await import('node:module');
  enableCompileCache(process.env.NODE_COMPILE_CACHE);
}

/** The `node` package's binary. */
function pinnedNode() {
  return above(join('node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node'));
}

/** The nearest one above this file. */
function above(name) {
  for (let folder = dirname(here); ; folder = dirname(folder)) {
    const path = join(folder, name);
    if (existsSync(path)) return path;
    if (dirname(folder) === folder) return undefined;
  }
}

/** The IPC channel is there to break: the program ends when this process is gone, even by SIGKILL. */
function relaunch(node) {
  const child = spawn(node, [...NODE_FLAGS, here, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`toxmail: cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
