import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cost, live, memory, quiet } from './life.ts';
import { Network } from './network.ts';

const SIZES = [10, 100];
/** 1,000 take eight minutes of one core. */
const LARGE = Number(process.env.TOXMAIL_SIM_NODES ?? 1_000);

test(`${LARGE} nodes live through churn, a partition and moves, and each costs as much as in a small network`, (t) => {
  const costs: Cost[] = SIZES.map((size) => {
    const empty = memory();
    const network = new Network(1, size);
    network.befriend(1);
    return quiet(t, network, empty);
  });
  costs.push(live(t, LARGE, 1, 2));
  const [, hundred, large] = costs as [Cost, Cost, Cost];
  assert.ok(large.datagramsPerMinute < 1.5 * hundred.datagramsPerMinute, 'datagrams do not grow with the network');
  assert.ok(hundred.memory > 0, 'memory was measured');
  assert.ok(large.memory < 3 * hundred.memory, 'memory grows no faster than the lists fill');
  t.diagnostic(`${(process.cpuUsage().user / 1e6).toFixed(0)} s of CPU`);
});
