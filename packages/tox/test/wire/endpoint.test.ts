import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Endpoint,
  endpoint,
  endpointAddress,
  endpointFromBytes,
  endpointIp,
  endpointPort,
  isIp6,
  isLan,
  isUnicast,
  sourceOf,
} from '../../src/wire/endpoint.ts';

const at = (host: string, port = 33445) => endpoint(host, port)!;
const port = fc.integer({ min: 1, max: 65_535 });
const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Random bytes with many zeros, so that runs of zero groups of all lengths appear. */
const ip6 = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xff, 0x20), { minLength: 16, maxLength: 16 })
  .map((bytes) => Uint8Array.from(bytes));

test('an IPv4 address and port become their usual text', () => {
  assert.equal(at('192.0.2.1', 33445), '192.0.2.1:33445');
});

test('IPv6 text is canonical whatever way it was written (RFC 5952)', () => {
  const same = ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '2001:0db8::0001', '2001:db8::0.0.0.1', '2001:db8:0::1'];
  for (const text of same) assert.equal(at(text, 7), '[2001:db8::1]:7');
  assert.equal(at('::', 1), '[::]:1');
  assert.equal(at('1:0:0:2:0:0:0:3', 1), '[1:0:0:2::3]:1', 'the longest run is shortened');
  assert.equal(at('1:0:0:2:3:0:0:4', 1), '[1::2:3:0:0:4]:1', 'the first of equal runs is shortened');
  assert.equal(at('1:0:2:3:4:5:6:7', 1), '[1:0:2:3:4:5:6:7]:1', 'a single zero group stays');
});

test('an IPv4-mapped IPv6 address is the IPv4 address', () => {
  assert.equal(at('::ffff:192.0.2.1'), at('192.0.2.1'));
  assert.equal(at('::ffff:c000:201'), at('192.0.2.1'));
});

test('anything that is not one numeric address and a port is refused', () => {
  const bad = [
    '',
    ':',
    ':::',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    'localhost',
    'fe80::1%eth0',
  ];
  bad.push(
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7::8',
    '::1.2.3',
    '1.2.3.4::',
    '[::1]',
  );
  for (const text of bad) assert.equal(endpoint(text, 1), undefined, text);
  for (const n of [0, -1, 65_536, 1.5, Number.NaN]) assert.equal(endpoint('192.0.2.1', n), undefined, String(n));
});

test('bytes of an odd length or port 0 name nobody', () => {
  for (const size of [0, 3, 5, 15, 17]) assert.equal(endpointFromBytes(new Uint8Array(size), 1), undefined);
  assert.equal(endpointFromBytes(new Uint8Array(4), 0), undefined);
});

test('bytes to endpoint and back is the identity, and the text reads back as itself', () => {
  fc.assert(
    fc.property(fc.oneof(ip4, ip6), port, (ip, p) => {
      const e = endpointFromBytes(ip, p)!;
      assert.equal(endpointPort(e), p);
      assert.equal(endpoint(endpointAddress(e), p), e);
      assert.equal(endpointFromBytes(endpointIp(e), p), e);
      const mapped = ip.length === 16 && !isIp6(e);
      assert.deepEqual(endpointIp(e), mapped ? ip.subarray(12).slice() : ip);
    }),
    { numRuns: 500 },
  );
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.') })),
      port,
      (text, p) => {
        const e = endpoint(text, p);
        if (e) assert.equal(endpoint(endpointAddress(e), p), e);
      },
    ),
    { numRuns: 500 },
  );
});

test('LAN addresses are those of c-toxcore, no more', () => {
  const lan = ['127.0.0.1', '127.255.0.1', '10.1.2.3', '172.16.0.1', '172.31.255.1', '192.168.0.1', '169.254.1.1'];
  lan.push('169.254.254.9', '100.64.0.1', '100.127.1.1', '::1', 'fe80::1', 'febf::1', 'ff01::1', '::ffff:10.0.0.1');
  const not = ['126.0.0.1', '172.15.0.1', '172.32.0.1', '192.169.0.1', '169.254.0.1', '169.254.255.1', '100.63.0.1'];
  not.push('100.128.0.1', '8.8.8.8', '::2', 'fec0::1', 'fc00::1', 'fd00::1', '2001:db8::1', 'ff05::1');
  for (const ip of lan) assert.equal(isLan(at(ip)), true, ip);
  for (const ip of not) assert.equal(isLan(at(ip)), false, ip);
});

test('addresses that no peer can have are not unicast', () => {
  for (const ip of ['0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255', '::', 'ff02::1']) {
    assert.equal(isUnicast(at(ip)), false, ip);
  }
  for (const ip of ['1.1.1.1', '127.0.0.1', '223.255.255.255', '::1', '2001:db8::1']) {
    assert.equal(isUnicast(at(ip)), true, ip);
  }
});

test('a source is an IPv4 address or an IPv6 /64, and on a LAN one node', () => {
  assert.equal(sourceOf(at('198.51.100.1', 1)), sourceOf(at('198.51.100.1', 2)));
  assert.notEqual(sourceOf(at('198.51.100.1')), sourceOf(at('198.51.100.2')));
  assert.equal(sourceOf(at('2001:db8::1', 1)), sourceOf(at('2001:db8::ffff:2', 2)));
  assert.notEqual(sourceOf(at('2001:db8::1')), sourceOf(at('2001:db8:0:1::1')));
  assert.notEqual(sourceOf(at('127.0.0.1', 1)), sourceOf(at('127.0.0.1', 2)));
  const e: Endpoint = at('198.51.100.1');
  assert.equal(sourceOf(e), '198.51.100.1');
});
