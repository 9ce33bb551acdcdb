import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../src/base/user-error.ts';
import { render } from '../../src/cli/render.ts';
import { addressFailure, parseAddress } from '../../src/contacts/address.ts';
import { configFrom, formatBootstrapNode, parseBootstrapNode, readConfigFile } from '../../src/daemon/config.ts';
import { LineSplitter, parseAnswer, parseRequest } from '../../src/daemon/control-protocol.ts';
import { RUN_OPTIONS, type RunOptionValues } from '../../src/daemon/options.ts';
import { hostPart, parseName, uniqueName } from '../../src/maildir/name.ts';

const any = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));
const hex = fc
  .array(fc.constantFrom(...'0123456789abcdefABCDEF'), { minLength: 60, maxLength: 78 })
  .map((s) => s.join(''));

test('any text is an address or fails with a reason', () => {
  const local = fc.oneof(any, hex, fc.constantFrom('mum', '"mum"', 'mum+tag', '"\\"@', '+', '"', '..', '../x', 'a\0b'));
  const domain = fc.oneof(any, fc.constantFrom('tox', 'TOX.alt', 'tox.', '', 'example.org', 'tox@tox'));
  fc.assert(
    fc.property(local, fc.constantFrom('@', '', '@@', '<@'), domain, (a, at, b) => {
      const text = a + at + b;
      const parsed = parseAddress(text);
      assert.equal(parsed === undefined, addressFailure(text) !== undefined);
      if (parsed?.target.kind === 'public-key') assert.match(parsed.target.publicKey, /^[0-9A-F]{64}$/);
      if (parsed?.target.kind === 'tox-id') assert.match(parsed.target.toxId, /^[0-9A-F]{76}$/);
    }),
  );
});

test('any values of the settings give a configuration or tell the person what is wrong', () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(undefined, Number.NaN, -1, 65_536, '0', '2525', '127.0.0.1', '::1', '0.0.0.0', [], true),
  );
  const values = fc.dictionary(fc.constantFrom(...RUN_OPTIONS.map((option) => option.name)), value);
  fc.assert(
    fc.property(values, values, (file, flags) => {
      try {
        const config = configFrom(file as RunOptionValues, flags as RunOptionValues);
        assert.ok(Number.isInteger(config.smtpPort) && config.smtpPort >= 0 && config.smtpPort < 65_536);
        assert.match(config.listen, /^(127\.|::1$|localhost$)/);
      } catch (error) {
        assert.ok(error instanceof UserError, String(error));
        assert.ok(!/[\r\n]/.test(error.message), error.message);
      }
    }),
  );
});

test('any config.toml is read or refused with a sentence', () => {
  const folder = mkdtempSync(join(tmpdir(), 'toxmail-fuzz-'));
  const sign = fc.constantFrom(
    'smtp-port',
    'bootstrap',
    '__proto__',
    ' = ',
    '"',
    "'",
    '[',
    ']',
    '\n',
    '1',
    ',',
    '.',
    '\\u',
    '#',
    '{',
    '}',
  );
  const toml = fc.oneof(
    any,
    fc.array(sign, { maxLength: 30 }).map((signs) => signs.join('')),
  );
  try {
    fc.assert(
      fc.property(toml, (text) => {
        writeFileSync(join(folder, 'config.toml'), text);
        try {
          configFrom(readConfigFile(folder), {});
        } catch (error) {
          assert.ok(error instanceof UserError, String(error));
        }
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('any text is a bootstrap node or none', () => {
  const part = fc.oneof(
    any,
    hex,
    fc.constantFrom(':', '[::1]', '1.2.3.4', 'host', '33445', '99999', '0', 'A'.repeat(64)),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 7 }), (parts) => {
      const node = parseBootstrapNode(parts.join(''));
      if (node) assert.deepEqual(parseBootstrapNode(formatBootstrapNode(node)), node);
    }),
  );
});

test('control requests: any bytes, cut anywhere, are lines within the limit or the end of the connection', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .constantFrom(
        '{"command":"status"}\n',
        '{"command":"x","args":{"__proto__":1}}\n',
        '[]\n',
        '\n',
        '{',
        '"\ud800"\n',
      )
      .map((text) => Uint8Array.from(Buffer.from(text))),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.integer({ min: 1, max: 400 }), (pieces, max) => {
      const splitter = new LineSplitter(max);
      const lines: string[] = [];
      const ok = pieces.every((each) => splitter.push(Buffer.from(each), (line) => lines.push(line)));
      const all = Buffer.concat(pieces);
      if (ok) assert.equal(lines.join('\n'), all.subarray(0, Math.max(0, all.lastIndexOf(10))).toString());
      for (const line of lines) {
        assert.ok(Buffer.byteLength(line) <= max * 3);
        const request = parseRequest(line);
        if (request) assert.equal(typeof request.command, 'string');
        parseAnswer(line);
      }
    }),
  );
});

test('what is shown to a person holds no control characters', () => {
  const row = fc.record({ account: any, publicKey: any, receivedAt: fc.nat(), message: any });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 3 }), (rows) => {
      for (const line of render('request list', rows).split('\n')) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        assert.ok(!/[\u0000-\u001f\u007f-\u009f]/.test(line), JSON.stringify(line));
      }
    }),
  );
});

test('file names: any name is read, and ours never leave the folder', () => {
  fc.assert(
    fc.property(any, fc.nat(), (text, unixMs) => {
      parseName(text);
      const name = uniqueName({ unixMs: () => unixMs, pid: 1, host: hostPart(text), count: 1, random: 'ab' }, 'cd');
      assert.ok(!/[/:]/.test(name) && !name.startsWith('.'), name);
      assert.equal(parseName(name)?.token, 'cd');
    }),
  );
});
