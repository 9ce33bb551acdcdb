import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type StreamHandler, Streams } from '../../src/core/streams.ts';
import { HttpConnectHandshake } from '../../src/relay/http-connect.ts';
import { openThroughProxy, parseProxy, type StreamProxy } from '../../src/relay/proxy.ts';
import type { ProxyHandshake, ProxyStep } from '../../src/relay/proxy-handshake.ts';
import { Socks5Handshake } from '../../src/relay/socks5.ts';
import { testEnv } from '../../src/testing/index.ts';
import { type Endpoint, endpoint, hostPort } from '../../src/wire/endpoint.ts';

const IP4 = endpoint('192.0.2.7', 33_445)!;
const IP6 = endpoint('2001:db8::1', 443)!;
const NAME = hostPort('Relay.Example', 443)!;
const CREDENTIALS = { user: 'mum', password: 'sécret' };

const text = (data: Uint8Array) => Buffer.from(data).toString('utf8');
const bytes = (data: string) => new Uint8Array(Buffer.from(data, 'utf8'));

/** Gives the answer in pieces of this size; the last step that is not "wait". */
function answer(handshake: ProxyHandshake, data: Uint8Array, size = data.length): ProxyStep {
  let step: ProxyStep = { type: 'wait' };
  for (let at = 0; at < data.length && step.type === 'wait'; at += size) {
    step = handshake.receive(data.subarray(at, at + size));
  }
  return step;
}

function sent(step: ProxyStep): number[] {
  assert.equal(step.type, 'send');
  return [...(step as { data: Uint8Array }).data];
}

test('SOCKS5: addresses go as bytes, a host name as it is', () => {
  const request = (to: Endpoint) => {
    const handshake = new Socks5Handshake(to, undefined);
    assert.deepEqual([...handshake.hello], [5, 1, 0]);
    return sent(answer(handshake, Uint8Array.of(5, 0), 1));
  };
  assert.deepEqual(request(IP4), [5, 1, 0, 1, 192, 0, 2, 7, 0x82, 0xa5]);
  assert.deepEqual(request(IP6), [5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xbb]);
  assert.deepEqual(request(NAME as Endpoint), [5, 1, 0, 3, 13, ...bytes('relay.example'), 1, 0xbb]);
});

test('SOCKS5: the tunnel begins right after the reply, whatever address that names', () => {
  const replies = [
    [5, 0, 0, 1, 127, 0, 0, 1, 1, 2],
    [5, 0, 0, 4, ...new Uint8Array(16), 1, 2],
    [5, 0, 0, 3, 4, 1, 2, 3, 4, 1, 2],
    [5, 0, 0, 3, 0, 1, 2],
    [5, 0, 0, 3, 255, ...new Uint8Array(255), 1, 2],
  ];
  for (const reply of replies) {
    for (const size of [1, 3, 1_000]) {
      const handshake = new Socks5Handshake(IP4, undefined);
      answer(handshake, Uint8Array.of(5, 0));
      assert.deepEqual(answer(handshake, Uint8Array.from(reply), size), { type: 'connected', rest: new Uint8Array(0) });
    }
    const handshake = new Socks5Handshake(IP4, undefined);
    answer(handshake, Uint8Array.of(5, 0));
    const step = answer(handshake, Uint8Array.of(...reply, 9, 8));
    assert.deepEqual(step, { type: 'connected', rest: Uint8Array.of(9, 8) });
  }
});

test('SOCKS5: user and password are given when asked for (RFC 1929)', () => {
  const handshake = new Socks5Handshake(IP4, CREDENTIALS);
  assert.deepEqual([...handshake.hello], [5, 2, 2, 0]);
  const asked = sent(answer(handshake, Uint8Array.of(5, 2)));
  assert.deepEqual(asked, [1, 3, ...bytes('mum'), 7, ...bytes('sécret')]);
  assert.equal(answer(handshake, Uint8Array.of(1, 0)).type, 'send');
  const unasked = new Socks5Handshake(IP4, CREDENTIALS);
  assert.equal(sent(answer(unasked, Uint8Array.of(5, 0)))[1], 1);
});

test('SOCKS5: each refusal is told for what it is', () => {
  const after = (steps: number[][], credentials?: typeof CREDENTIALS) => {
    const handshake = new Socks5Handshake(IP4, credentials);
    return steps.map((step) => answer(handshake, Uint8Array.from(step))).at(-1);
  };
  const failed = (reason: string) => ({ type: 'failed', reason });
  assert.deepEqual(after([[4, 0]]), failed('not-a-proxy'));
  assert.deepEqual(after([[...bytes('HTTP/1.1 400 Bad Request')]]), failed('not-a-proxy'));
  assert.deepEqual(after([[5, 255]]), failed('credentials'));
  assert.deepEqual(after([[5, 2]]), failed('credentials'));
  assert.deepEqual(
    after(
      [
        [5, 2],
        [1, 1],
      ],
      CREDENTIALS,
    ),
    failed('credentials'),
  );
  assert.deepEqual(
    after(
      [
        [5, 2],
        [5, 0],
      ],
      CREDENTIALS,
    ),
    failed('not-a-proxy'),
  );
  assert.deepEqual(
    after([
      [5, 0],
      [5, 2],
    ]),
    failed('forbidden'),
  );
  for (const code of [1, 3, 4, 5, 6, 7, 8, 200])
    assert.deepEqual(
      after([
        [5, 0],
        [5, code],
      ]),
      failed('unreachable'),
    );
  assert.deepEqual(
    after([
      [5, 0],
      [5, 0, 0, 9, 1],
    ]),
    failed('not-a-proxy'),
  );
});

test('HTTP: CONNECT names the target, and the proxy resolves names', () => {
  const hello = (to: Endpoint, credentials?: typeof CREDENTIALS) =>
    text(new HttpConnectHandshake(to, credentials).hello);
  assert.equal(hello(IP4), 'CONNECT 192.0.2.7:33445 HTTP/1.1\r\nHost: 192.0.2.7:33445\r\n\r\n');
  assert.equal(hello(IP6), 'CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n');
  assert.match(hello(NAME as Endpoint), /^CONNECT relay\.example:443 HTTP\/1\.1\r\n/);
  const basic = Buffer.from('mum:sécret', 'utf8').toString('base64');
  assert.ok(hello(IP4, CREDENTIALS).includes(`\r\nProxy-Authorization: Basic ${basic}\r\n`));
});

test('HTTP: the tunnel begins right after the header section of a 2xx', () => {
  const answers = [
    'HTTP/1.1 200 Connection established\r\n\r\n',
    'HTTP/1.0 200\r\nProxy-Agent: x\r\nContent-Length: 5\r\n\r\n',
    'HTTP/1.1 204 No Content\nA: b\n\n',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
  ];
  for (const each of answers) {
    for (const size of [1, 2, 7, 1_000]) {
      const step = answer(new HttpConnectHandshake(IP4, undefined), bytes(each), size);
      assert.deepEqual(step, { type: 'connected', rest: new Uint8Array(0) }, `${each} by ${size}`);
    }
    const step = answer(new HttpConnectHandshake(IP4, undefined), bytes(`${each}rest\r\n\r\n`));
    assert.equal(text((step as { rest: Uint8Array }).rest), 'rest\r\n\r\n');
  }
});

test('HTTP: each refusal is told for what it is, and nothing is kept without end', () => {
  const reason = (data: string) => {
    const step = answer(new HttpConnectHandshake(IP4, undefined), bytes(data), 4_096);
    return step.type === 'failed' ? step.reason : step.type;
  };
  assert.equal(reason('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'), 'credentials');
  assert.equal(reason('HTTP/1.1 403 Forbidden\r\n\r\n'), 'forbidden');
  assert.equal(reason('HTTP/1.1 502 Bad Gateway\r\n\r\n'), 'unreachable');
  assert.equal(reason('HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n'), 'unreachable');
  assert.equal(reason('HTTP/2 200 OK\r\n\r\n'), 'not-a-proxy');
  assert.equal(reason('SSH-2.0-x\r\n\r\n'), 'not-a-proxy');
  assert.equal(reason(`HTTP/1.1 200 OK\r\nA: ${'b'.repeat(20_000)}`), 'not-a-proxy');
  assert.equal(reason(`HTTP/1.1 200 OK\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`), 'not-a-proxy');
  assert.equal(reason('HTTP/1.1 200 OK\r\nA: b\r\n'), 'wait');
});

/** A stream through a proxy whose every word the test says. */
function through(proxy: StreamProxy) {
  const streams = new Streams();
  const told: unknown[] = [];
  const logged: unknown[] = [];
  const handler: StreamHandler = {
    opened: () => told.push('opened'),
    received: (_now, data) => told.push(text(data)),
    written: (_now, queued) => told.push(queued),
    closed: () => told.push('closed'),
  };
  const env = testEnv(
    1,
    () => 0,
    (id, fields) => logged.push([id, fields]),
  );
  const stream = openThroughProxy(env, streams, proxy, NAME, handler);
  const commands = () => {
    const all: string[] = [];
    for (let c = streams.takeCommand(); c; c = streams.takeCommand()) {
      all.push(c.type === 'open' ? `open ${c.to}` : c.type === 'write' ? `write ${text(c.data)}` : c.type);
    }
    return all;
  };
  return { streams, stream, told, logged, commands, id: 0 as never };
}

test('a stream through a proxy is up once the proxy says so, and carries bytes from then on', () => {
  const { streams, stream, told, commands, id } = through({ type: 'http', endpoint: IP4 });
  assert.deepEqual(commands(), [`open ${IP4}`]);
  streams.opened(0, id);
  streams.written(0, id, 50);
  assert.match(commands()[0]!, /^write CONNECT relay\.example:443/);
  assert.deepEqual(told, []);
  streams.received(0, id, bytes('HTTP/1.1 200 OK\r\n\r\nfirst'));
  streams.received(0, id, bytes('second'));
  stream.write(bytes('ours'));
  streams.written(0, id, 4);
  streams.closed(0, id);
  assert.deepEqual(told, ['opened', 'first', 'second', 4, 'closed']);
  assert.deepEqual(commands(), ['write ours']);
});

test('a proxy that refuses or goes away ends the stream, and the log says why', () => {
  const refused = through({ type: 'socks5', endpoint: IP4 });
  refused.streams.opened(0, refused.id);
  refused.streams.received(0, refused.id, Uint8Array.of(5, 255));
  assert.deepEqual(refused.told, ['closed']);
  assert.deepEqual(refused.logged, [['proxy.failed', { reason: 'credentials' }]]);
  assert.equal(refused.commands().at(-1), 'close');
  const gone = through({ type: 'socks5', endpoint: IP4 });
  gone.streams.closed(0, gone.id);
  assert.deepEqual(gone.told, ['closed']);
  assert.deepEqual(gone.logged, [['proxy.failed', { reason: 'closed' }]]);
});

test('a proxy is written as a URL', () => {
  assert.deepEqual(parseProxy('socks5://127.0.0.1:9050'), { type: 'socks5', host: '127.0.0.1', port: 9050 });
  assert.deepEqual(parseProxy('http://[::1]:80/'), { type: 'http', host: '::1', port: 80 });
  assert.deepEqual(parseProxy('socks5://m%40um:p%3Aw@tor.lan:1'), {
    type: 'socks5',
    host: 'tor.lan',
    port: 1,
    credentials: { user: 'm@um', password: 'p:w' },
  });
  const wrong = ['', 'socks4://a:1', 'socks5://a', 'socks5://a:0', 'socks5://a:65536', 'http://a b:1', 'http://a:1/x'];
  wrong.push('http://:1', 'socks5://u@a:1', 'socks5://u:%ff@a:1', `socks5://u:${'p'.repeat(256)}@a:1`, 'http://[a]:1');
  for (const each of wrong) assert.equal(parseProxy(each), undefined, each);
});

test('a host name for a proxy cannot carry a second line or a second port', () => {
  assert.equal(hostPort('A.example', 1), 'a.example:1');
  assert.equal(hostPort('192.0.2.1', 1), '192.0.2.1:1');
  assert.equal(hostPort('2001:DB8::1', 1), '[2001:db8::1]:1');
  for (const host of [
    '',
    'a\r\nb',
    'a:2',
    'a b',
    '.a',
    'a..b',
    'ä',
    '[::1]',
    `${'a'.repeat(64)}.b`,
    'a.'.repeat(127) + 'a'.repeat(63),
  ]) {
    assert.equal(hostPort(host, 1), undefined, host);
  }
  assert.equal(hostPort('a', 0), undefined);
  assert.equal(hostPort('a', 65_536), undefined);
});
