/**
 * Renews the built-in list of public Tox nodes from the list that the Tox project keeps:
 *
 *     node scripts/refresh-nodes.mjs [FILE]
 *
 * FILE is a saved copy of that list, for a machine without network. Kept are nodes that answered the
 * list's last scan, over UDP or TCP. Look at the difference before you commit it: who writes this list
 * decides whom a new installation asks first.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE = 'https://nodes.tox.chat/json';
const TARGET = fileURLToPath(new URL('../packages/tox/src/node/public-nodes.json', import.meta.url));

/** From the form of nodes.tox.chat to ours. Entries that make no sense are left out. */
export function convert(list) {
  const nodes = [];
  for (const node of list.nodes) {
    const hosts = [...new Set([node.ipv4, node.ipv6])].filter(
      (host) => /^[A-Za-z0-9.:-]{2,253}$/.test(host ?? '') && host !== 'NONE',
    );
    const tcpPorts = node.status_tcp ? node.tcp_ports.filter(isPort).sort((a, b) => a - b) : [];
    const right = /^[0-9A-Fa-f]{64}$/.test(node.public_key) && isPort(node.port) && hosts.length > 0;
    if (!right || !(node.status_udp || tcpPorts.length > 0)) continue;
    nodes.push({ hosts, port: node.port, tcpPorts, publicKey: node.public_key.toUpperCase() });
  }
  nodes.sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1));
  return { source: SOURCE, date: new Date(list.last_scan * 1000).toISOString().slice(0, 10), nodes };
}

function isPort(port) {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** As the formatter of this project writes JSON. */
export function format(list) {
  const text = JSON.stringify(list, null, 2);
  return `${text.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items) => `[${items.replace(/\s*\n\s*/g, ' ')}]`)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = process.argv[2];
  const list = file ? JSON.parse(readFileSync(file, 'utf8')) : await (await fetch(SOURCE)).json();
  const renewed = convert(list);
  if (renewed.nodes.length < 5) throw new Error(`Only ${renewed.nodes.length} nodes answer; the old list is kept.`);
  writeFileSync(TARGET, format(renewed));
  console.log(`${renewed.nodes.length} nodes of ${renewed.date} in ${TARGET}`);
}
