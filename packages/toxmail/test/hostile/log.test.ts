import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../src/base/log.ts';

const HOSTILE = 'a\r\nERROR fake\0\u001b[2J\u007f\u009b2J\u0085\u2028\u202e\u2066" b=c';

test('a log line is one line of printable signs, whatever a peer put into it, and says what it was', () => {
  for (const json of [false, true]) {
    let line = '';
    const write = (text: string) => {
      line += text;
    };
    createLogger({ level: 'debug', json, unixMs: () => 0, write }).info('x', { text: HOSTILE });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.ok(!/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/.test(line), JSON.stringify(line));
    const value = json ? JSON.parse(line).text : JSON.parse(line.slice(line.indexOf('text=') + 5));
    assert.equal(value, HOSTILE);
  }
});
