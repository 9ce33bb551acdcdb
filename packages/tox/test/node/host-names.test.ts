import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostNames } from '../../src/node/host-names.ts';

test('a name is resolved to all its addresses', async (t) => {
  const names = new HostNames(() => assert.fail('it is known'));
  t.after(() => names.close());
  const addresses = await new Promise<string[]>((resolve) => names.resolve('localhost', resolve));
  assert.ok(addresses.some((address) => address === '127.0.0.1' || address === '::1'));
});

test('a name that nobody knows is told once, however often it is tried', async (t) => {
  const told: string[] = [];
  await new Promise<void>((resolve) => {
    const names = new HostNames((name) => {
      told.push(name);
      if (name === 'nobody.invalid') names.retry();
      if (name === 'else.invalid') resolve();
    });
    t.after(() => names.close());
    names.resolve('nobody.invalid', () => assert.fail('it cannot be resolved'));
    names.resolve('else.invalid', () => assert.fail('it cannot be resolved'));
  });
  assert.deepEqual(told.sort(), ['else.invalid', 'nobody.invalid']);
});
