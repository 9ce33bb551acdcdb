/**
 * A UDP socket that does as told, for tests of the laboratory itself: `ADDRESS PORT TEXT` on stdin sends a datagram,
 * what arrives is printed in the same form. Its argument is its port; it says when it is bound.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const socket = createSocket('udp4').bind(Number(process.argv[2]), () => console.log('bound'));
socket.on('message', (data, { address, port }) => console.log(`${address} ${port} ${data}`));
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [address, port, text] = line.split(' ');
    socket.send(text!, Number(port), address);
  })
  .on('close', () => socket.close());
