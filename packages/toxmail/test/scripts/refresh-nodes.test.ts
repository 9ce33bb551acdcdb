import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PUBLIC_NODES, PUBLIC_NODES_DATE } from '@toxmail/tox/public-nodes';

const SCRIPT = new URL('../../../../scripts/refresh-nodes.mjs', import.meta.url).href;
const { convert, format } = (await import(SCRIPT)) as {
  convert(list: unknown): { date: string; nodes: unknown[] };
  format(list: unknown): string;
};

const KEY = 'a'.repeat(64);
const NODE = {
  ipv4: '192.0.2.1',
  ipv6: '-',
  port: 33445,
  tcp_ports: [33445, 443],
  public_key: KEY,
  status_udp: true,
  status_tcp: true,
};

test('the public list becomes ours: nodes that answer, with UDP and TCP ports, by key', () => {
  const list = convert({
    last_scan: 1_790_740_800,
    nodes: [NODE, { ...NODE, ipv6: '2001:db8::1', public_key: '0'.repeat(64), status_tcp: false }],
  });
  assert.equal(list.date, '2026-09-30');
  assert.deepEqual(list.nodes, [
    { hosts: ['192.0.2.1', '2001:db8::1'], port: 33445, tcpPorts: [], publicKey: '0'.repeat(64) },
    { hosts: ['192.0.2.1'], port: 33445, tcpPorts: [443, 33445], publicKey: KEY.toUpperCase() },
  ]);
});

test('nodes that are down, or make no sense, are left out', () => {
  const bad = [
    { status_udp: false, status_tcp: false },
    { public_key: 'short' },
    { port: 0 },
    { ipv4: 'NONE' },
    { ipv4: '$(reboot)' },
    { ipv4: null },
  ];
  assert.deepEqual(convert({ last_scan: 0, nodes: bad.map((change) => ({ ...NODE, ...change })) }).nodes, []);
});

test('the list that is built in is as the script writes it: dated, each node once, enough of them, UDP and TCP', () => {
  const path = new URL('../../../tox/src/node/public-nodes.json', import.meta.url);
  const text = readFileSync(path, 'utf8');
  assert.equal(text, format(JSON.parse(text)));
  assert.match(PUBLIC_NODES_DATE, /^20\d\d-\d\d-\d\d$/);
  assert.equal(new Set(PUBLIC_NODES.map((node) => node.publicKey)).size, PUBLIC_NODES.length);
  assert.ok(PUBLIC_NODES.length >= 10);
  assert.ok(PUBLIC_NODES.filter((node) => node.tcpPorts.length > 0).length >= 5);
  for (const { publicKey, port } of PUBLIC_NODES) {
    assert.match(publicKey, /^[0-9A-F]{64}$/);
    assert.ok(port > 0 && port < 65_536);
  }
});
