/**
 * An attacker of a TCP relay: `tcp-flooder.ts KIND HOST PORT KEY SECONDS SOURCE...`, from each of the SOURCE addresses in
 * turn. Prints how many connections it made, or packets it sent.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SocketGuest } from '../../packages/tox/test/relay/socket-guest.ts';

const [kind, host, portText, key, secondsText, ...sources] = process.argv.slice(2) as string[];
const port = Number(portText);
const end = performance.now() + Number(secondsText) * 1000;
const HALF_OPEN = 4_000;
const AT_ONCE = 100;
const SLOW_READERS = 20;
let made = 0;

const kinds: Record<string, () => Promise<number>> = {
  /** Connections that say nothing, as many as can be had. */
  async 'half-open'() {
    const sockets: Socket[] = [];
    while (performance.now() < end) {
      if (made < HALF_OPEN) for (let i = 0; i < AT_ONCE; i++) sockets.push(open());
      await sleep(50);
    }
    for (const socket of sockets) socket.destroy();
    return made;
  },
  /** Hellos that open for nobody, one after the other. */
  async nonsense() {
    const again = () => {
      if (performance.now() > end) return;
      const socket = open();
      socket.end(randomBytes(128));
      socket.on('close', again);
    };
    for (let i = 0; i < AT_ONCE; i++) again();
    while (performance.now() < end) await sleep(50);
    return made;
  },
  /** Clients that get data as fast as another one sends, and read none of it. */
  async 'slow-readers'() {
    let sent = 0;
    const data = randomBytes(1_300);
    const pairs = await Promise.all(
      Array.from({ length: SLOW_READERS }, async () => {
        const writer = await SocketGuest.login({ host, port, localAddress: source() }, key!);
        const reader = await SocketGuest.login({ host, port, localAddress: source() }, key!);
        const id = await writer.route(reader);
        reader.socket.pause();
        return { writer, reader, id };
      }),
    );
    while (performance.now() < end) {
      for (const { writer, id } of pairs) {
        if (writer.socket.writableLength > 100_000) continue;
        for (let i = 0; i < 50; i++) if (writer.do((client) => client.sendData(id, data))) sent++;
        writer.client.written(performance.now(), writer.socket.writableLength);
      }
      await sleep(5);
    }
    for (const { writer, reader } of pairs) for (const guest of [writer, reader]) guest[Symbol.dispose]();
    return sent;
  },
};

console.log(await kinds[kind!]!());

function open(): Socket {
  const socket = connect({ host: host!, port, localAddress: source() });
  socket.on('error', () => {});
  return socket;
}

function source(): string {
  return sources[made++ % sources.length]!;
}
