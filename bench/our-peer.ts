// Our node in a process of its own, for bench/tox.ts: does what its parent says by IPC.
import { ToxNode } from '../packages/tox/src/index.ts';

export type Command =
  | { readonly do: 'start'; readonly port: number }
  | { readonly do: 'bootstrap'; readonly port: number; readonly key: string }
  | { readonly do: 'befriend'; readonly key: string }
  | { readonly do: 'message'; readonly key: string; readonly text: string }
  | { readonly do: 'send-file'; readonly key: string; readonly size: number };

export type Report =
  | { readonly is: 'started'; readonly publicKey: string; readonly dhtKey: string; readonly port: number }
  | { readonly is: 'online'; readonly key: string }
  | { readonly is: 'message'; readonly key: string; readonly text: string }
  /** All bytes of a file came; nothing is written to a disk. */
  | { readonly is: 'received'; readonly size: number };

const block = new Uint8Array(256 * 1024);
let node: ToxNode;

function report(what: Report): void {
  process.send?.(what);
}

async function start(port: number): Promise<void> {
  node = await ToxNode.create({ udp: { host: '127.0.0.1', port } });
  const sizes = new Map<number, number>();
  node.on('friend-connection', ({ friend, online }) => online && report({ is: 'online', key: friend }));
  node.on('message', ({ friend, text }) => report({ is: 'message', key: friend, text }));
  node.on('file-offer', ({ friend, file, size = 0 }) => {
    sizes.set(file, size);
    node.fileControl(friend, file, 'resume');
  });
  node.on('file-done', ({ file }) => {
    const size = sizes.get(file);
    if (size !== undefined) report({ is: 'received', size });
  });
  node.on('file-writable', ({ friend, file, position }) => {
    let left = sending - position;
    while (left > 0) {
      const taken = node.fileWrite(friend, file, block.subarray(0, Math.min(left, block.length)));
      if (taken === 0) break;
      left -= taken;
    }
  });
  report({ is: 'started', publicKey: node.publicKey, dhtKey: node.dhtPublicKey, port: node.udpPort });
}

let sending = 0;

process.on('message', (command: Command) => {
  if (command.do === 'start') void start(command.port);
  else if (command.do === 'bootstrap') node.bootstrap('127.0.0.1', command.port, command.key);
  else if (command.do === 'befriend') node.acceptFriend(command.key);
  else if (command.do === 'message') node.sendMessage(command.key, command.text);
  else {
    sending = command.size;
    node.fileSend(command.key, { kind: 0, size: command.size, name: 'bench' });
  }
});
process.on('disconnect', () => process.exit());
