/**
 * Our node in a process of its own, driven by the same lines as the c-toxcore peer (`../oracle/peer.c`), so that a test
 * can put either in the same place. Of that protocol it knows what the laboratory uses.
 */
import { createInterface } from 'node:readline';
import { ToxNode } from '../../packages/tox/src/index.ts';

let node: ToxNode;

const commands: Record<string, (...args: string[]) => object | Promise<object>> = {
  async new(...flags) {
    const option: Record<string, string> = Object.fromEntries(flags.map((flag) => flag.split('=', 2)));
    const [port, tcp, lan] = ['port', 'tcp', 'lan'].map((name) => Number(option[name])) as [number, number, number];
    const relay = tcp > 0 ? { ports: [tcp] } : undefined;
    node = await ToxNode.create({ udp: { port }, relay, lanDiscovery: lan === 1 });
    node.on('connection', ({ connection }) => say({ event: 'self-connection', connection }));
    node.on('friend-connection', sayConnection);
    node.on('friend-path', sayConnection);
    node.on('friend-request', ({ publicKey, message }) =>
      say({ event: 'friend-request', friend: publicKey, message: hex(message) }),
    );
    node.on('message', ({ friend, text }) => say({ event: 'message', friend, action: false, text: hex(text) }));
    node.on('lossless', ({ friend, data }) => say({ event: 'lossless', friend, data: hex(data) }));
    return {};
  },
  info: () => ({ toxId: node.toxId, dhtKey: node.dhtPublicKey, udpPort: node.udpPort, connection: node.connection }),
  bootstrap(host, port, key) {
    node.bootstrap(host!, Number(port), key!);
    return {};
  },
  relay(host, port, key) {
    node.addTcpRelay(host!, Number(port), key!);
    return {};
  },
  'friend-add'(toxId, message) {
    node.addFriend(toxId!, Buffer.from(message!, 'hex').toString());
    return {};
  },
  'friend-accept'(key) {
    node.acceptFriend(key!);
    return {};
  },
  message: (friend, text) => ({ message: node.sendMessage(friend!, Buffer.from(text!, 'hex').toString()) }),
  async lossless(friend, data) {
    while (!node.sendLossless(friend!, Buffer.from(data!, 'hex')))
      await new Promise((resolve) => node.once('writable', resolve));
    return {};
  },
};

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const [id, command, ...args] = line.split(' ');
    try {
      const answer = await (commands[command!] ?? unknown)(...args);
      say({ re: Number(id), ...answer });
    } catch (error) {
      say({ re: Number(id), error: (error as Error).message });
    }
  })
  .on('close', () => void node?.close());

function unknown(): never {
  throw new Error('unknown command');
}

function sayConnection({ friend, connection }: { friend: string; connection: string }): void {
  say({ event: 'friend-connection', friend, connection });
}

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function hex(value: string | Uint8Array): string {
  return Buffer.from(value as string).toString('hex');
}
