import { test } from 'node:test';
import fc from 'fast-check';
import { begins, playAnySession, steps } from '../any-session.ts';

for (const begin of begins) {
  test(`any commands, ${begin}: one answer for each, and message numbers hold while others change the folder`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), (all, pipelined) => playAnySession(begin, all, pipelined)),
      { numRuns: 60 },
    );
  });
}
