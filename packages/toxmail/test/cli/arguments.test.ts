import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseArguments } from '../../src/cli/arguments.ts';
import { COMMANDS, helpText } from '../../src/cli/commands.ts';
import { UsageError } from '../../src/cli/usage-error.ts';
import { RUN_OPTIONS } from '../../src/daemon/options.ts';

const usage = (argv: string[]): string => {
  try {
    parseArguments(argv);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  return assert.fail('accepted');
};

test('without a command the daemon runs, with the options of run', () => {
  const parsed = parseArguments(['--data', '/d', '--smtp-port', '0', '--bootstrap', 'a:1:k', '--bootstrap', 'b:2:k']);
  assert.equal(parsed.command.name, 'run');
  assert.equal(parsed.data, '/d');
  assert.deepEqual({ ...parsed.flags }, { 'smtp-port': '0', bootstrap: ['a:1:k', 'b:2:k'] });
});

test('options may stand before, between and after the words', () => {
  for (const argv of [
    ['--json', 'contact', 'add', 'ann', 'XYZ', '--email', 'a@b.c', '--email', 'd@e.f'],
    ['contact', '--email', 'a@b.c', 'add', 'ann', '--email', 'd@e.f', 'XYZ', '--json'],
  ]) {
    const parsed = parseArguments(argv);
    assert.equal(parsed.command.name, 'contact add');
    assert.deepEqual({ ...parsed.args }, { name: 'ann', address: 'XYZ', email: ['a@b.c', 'd@e.f'] });
    assert.equal(parsed.json, true);
  }
});

test('queue alone lists, and a request may be accepted with or without a name', () => {
  assert.equal(parseArguments(['queue']).command.name, 'queue list');
  assert.deepEqual({ ...parseArguments(['request', 'accept', 'AB']).args }, { key: 'AB' });
  assert.deepEqual({ ...parseArguments(['request', 'accept', 'AB', 'ann']).args }, { key: 'AB', name: 'ann' });
});

test('wrong usage names the word that is wrong', () => {
  assert.match(usage(['stauts']), /"stauts".*toxmail status\?/);
  assert.match(usage(['accont', 'list']), /"accont".*toxmail account list\?/);
  assert.match(usage(['nonsense']), /"nonsense"\. See/);
  assert.match(usage(['run', 'WORD']), /"WORD".*toxmail run$/);
  assert.match(usage(['contact']), /contact add, contact list/);
  assert.match(usage(['contact', 'add', 'ann']), /NAME ADDRESS/);
  assert.match(usage(['contact', 'add', 'ann', 'x', 'y']), /"y".*NAME ADDRESS/);
  assert.match(usage(['status', '--email', 'x']), /--email/);
  assert.match(usage(['status', '--nonsense']), /--nonsense/);
  assert.match(usage(['run', '--bootstrp', 'x']), /--bootstrap\?/);
  assert.match(usage(['status', '--wait', 'soon']), /--wait/);
  assert.match(usage(['status', '--wait']), /--wait/);
  assert.match(usage(['run', '--data=']), /--data/);
});

test('usage errors are one line', () => {
  for (const argv of [['x'], ['status', '--wait', '-1'], ['run', '--smtp-port', '-1'], ['--', 'x', 'y']])
    assert.doesNotMatch(usage(argv), /\n/);
});

test('help knows every command, and needs none to be complete', () => {
  for (const command of COMMANDS) {
    assert.ok(helpText().includes(command.name));
    assert.equal(parseArguments([...command.name.split(' '), '--help']).help, true);
  }
  for (const { name, ...option } of RUN_OPTIONS) {
    const only = 'only' in option; // of bootstrap, whose own help has it
    assert.equal(helpText().includes(`--${name} `), !only, name);
    if (only) assert.ok(helpText(COMMANDS.find((command) => command.name === option.only)).includes(`--${name} `));
  }
  for (const argv of [['--help'], ['help'], ['help', 'contact', 'add']]) assert.equal(parseArguments(argv).help, true);
  assert.equal(parseArguments(['--version']).version, true);
});

test('no words make the parser throw anything but a usage error', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('__proto__', '--json', '--wait', 'queue', 'contact', 'add', '--', '-', '--data=', '--no-lan'),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
      try {
        parseArguments(argv);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
      }
    }),
  );
});
