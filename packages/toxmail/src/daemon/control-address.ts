import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FILE_MODE, FOLDER_MODE } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

/** sun_path holds 104 bytes on macOS and 108 on Linux, both with the final zero. */
const SOCKET_PATH_MAX = 103;
/** Names the socket when it could not be in the data folder. */
const POINTER = 'control.path';

/** Where a daemon listens for commands: `control.sock` in the data folder unless that path is too long. */
export function makeControlAddress(dataDir: string): string {
  const direct = directAddress(dataDir);
  const pointer = join(dataDir, POINTER);
  const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  if (direct !== undefined) {
    rmSync(pointer, { force: true });
    rmSync(direct, { force: true }); // left by a process that was killed; the folder's lock is ours
    return direct;
  }
  const address =
    process.platform === 'win32' ? `\\\\.\\pipe\\toxmail-${name}` : join(privateRuntimeFolder(), `${name}.sock`);
  if (process.platform !== 'win32') rmSync(address, { force: true });
  writeFileSync(pointer, address, { mode: FILE_MODE });
  return address;
}

/** Where a running daemon would be listening; undefined if none can be running. */
export function findControlAddress(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, POINTER), 'utf8').trim();
  } catch {
    return directAddress(dataDir);
  }
}

function directAddress(dataDir: string): string | undefined {
  const path = join(dataDir, 'control.sock');
  return process.platform !== 'win32' && Buffer.byteLength(path) <= SOCKET_PATH_MAX ? path : undefined;
}

/** After the server closed. */
export function removeControlAddress(dataDir: string): void {
  rmSync(join(dataDir, POINTER), { force: true });
}

/** A folder that nobody else can write to: others could put their own socket in its place. */
function privateRuntimeFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = join(process.env.XDG_RUNTIME_DIR || tmpdir(), `toxmail-${uid}`);
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== uid)
    throw new UserError(`${folder} belongs to somebody else. Use a data folder with a shorter path.`);
  chmodSync(folder, FOLDER_MODE);
  return folder;
}
