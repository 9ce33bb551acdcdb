import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { HostNames } from '../../src/node/host-names.ts';

test('a name is resolved to all its addresses', async (t) => {
  const names = new HostNames(() => assert.fail('it is known'));
  t.after(() => names.close());
  const addresses = await new Promise<string[]>((resolve) => names.resolve('localhost', resolve));
  assert.ok(addresses.some((address) => address === '127.0.0.1' || address === '::1'));
});

test('a name that nobody knows is told once, however often it is tried, and used as soon as somebody does', async (t) => {
  const told: string[] = [];
  const asked: PromiseWithResolvers<string[]>[] = [];
  const names = new HostNames(
    (name) => told.push(name),
    () => {
      asked.push(Promise.withResolvers());
      return asked.at(-1)!.promise;
    },
  );
  t.after(() => names.close());
  const found = new Promise<string[]>((resolve) => names.resolve('node.example', resolve));
  for (const tries of [1, 2, 3]) {
    assert.equal(asked.length, tries);
    asked.at(-1)!.reject(new Error('ENOTFOUND'));
    await setImmediate();
    assert.deepEqual(told, ['node.example']);
    names.retry();
  }
  asked.at(-1)!.resolve(['192.0.2.1']);
  assert.deepEqual(await found, ['192.0.2.1']);
});

test('a name under .invalid is told as unknown by the real resolver', async (t) => {
  const told = await new Promise<string>((resolve) => {
    const names = new HostNames(resolve);
    t.after(() => names.close());
    names.resolve('nobody.invalid', () => assert.fail('it cannot be resolved'));
  });
  assert.equal(told, 'nobody.invalid');
});
