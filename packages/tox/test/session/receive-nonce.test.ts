import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Nonce } from '../../src/crypto/keys.ts';
import { incrementNonce, nonceLow16 } from '../../src/crypto/nonce.ts';
import { ReceiveNonce } from '../../src/session/receive-nonce.ts';

const base = () => Uint8Array.from({ length: 24 }, (_, i) => (i < 20 ? 0xff : 0xf0)) as Nonce;

function after(n: number): Nonce {
  const nonce = base();
  incrementNonce(nonce, n);
  return nonce;
}

test('nonces are recovered over several rounds of the 16 bits, with reordering and losses', () => {
  const received = new ReceiveNonce(base());
  for (let n = 0; n < 300_000; n += 7) {
    for (const k of [n + 500, n]) {
      const nonce = after(k);
      const low = nonceLow16(nonce);
      if (received.seen(low)) continue;
      assert.deepEqual(received.candidate(low), nonce);
      received.accept(low);
    }
  }
});

test('a nonce is good for one packet, until the range has moved on', () => {
  const received = new ReceiveNonce(base());
  for (let n = 0; n < 200_000; n++) {
    const low = nonceLow16(after(n));
    assert.equal(received.seen(low), false, `first use of ${n}`);
    received.accept(low);
    assert.equal(received.seen(low), true);
    if (n > 1_000) assert.equal(received.seen(nonceLow16(after(n - 1_000))), true);
  }
});
