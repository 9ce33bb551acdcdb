#!/usr/bin/env node
// Runs under any Node from 20 on: where that is too old for the program, the pinned Node 24 takes over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stopWithNpm } from './parent-watch.mjs';

stopWithNpm();

const here = fileURLToPath(import.meta.url);

if (Number(process.versions.node.split('.')[0]) >= 24) {
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

/** The `node` package's binary in the nearest node_modules above this file. */
function pinnedNode() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  for (let folder = dirname(here); ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', 'node', 'bin', name);
    if (existsSync(path)) return path;
    if (dirname(folder) === folder) return undefined;
  }
}

/** The IPC channel is there to break: the program ends when this process is gone, even by SIGKILL. */
function relaunch(node) {
  const child = spawn(node, [here, ...process.argv.slice(2)], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`toxmail: cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
