import { parseArgs } from 'node:util';
import { nearest } from '../base/nearest.ts';
import type { RunOptionValues } from '../daemon/options.ts';
import { ALIASES, COMMANDS, type CommandSpec, GLOBAL_OPTIONS, OPTIONS, usageOf } from './commands.ts';
import { UsageError } from './usage-error.ts';

export interface ParsedArguments {
  readonly command: CommandSpec;
  /** Positionals and options of the command by name, as the control protocol carries them. */
  readonly args: Readonly<Record<string, unknown>>;
  /** The same options for `run` and `bootstrap`. */
  readonly flags: RunOptionValues;
  readonly data: string | undefined;
  readonly json: boolean;
  readonly help: boolean;
  readonly version: boolean;
  /** Seconds of `status --wait`. */
  readonly wait: number | undefined;
}

/** A day: longer waits are a mistake. */
const WAIT_MAX_S = 86_400;

/** Throws UsageError that names the word which is wrong. */
export function parseArguments(argv: readonly string[]): ParsedArguments {
  const { values, positionals } = parse(argv);
  if (positionals[0] === 'help') {
    positionals.shift();
    values.help = true;
  }
  const found = findCommand(positionals);
  const help = values.help === true;
  const version = values.version === true;
  if (!found) {
    if (help || version) return { ...parseArguments([]), help, version };
    throw new UsageError(unknownCommand(positionals));
  }
  const { command, rest } = found;
  const global = new Set(GLOBAL_OPTIONS.map((option) => option.name));
  const given = Object.entries(values).filter(([name]) => !global.has(name));
  for (const [name] of given)
    if (!command.options.includes(name))
      throw new UsageError(`"toxmail ${command.name}" has no option --${name}. See: toxmail ${command.name} --help`);
  const options = Object.fromEntries(given);
  return {
    command,
    args: { ...named(command, rest, help), ...options },
    flags: options,
    data: values.data as string | undefined,
    json: values.json === true,
    help,
    version,
    wait: waitSeconds(values.wait),
  };
}

function parse(argv: readonly string[]): { values: Record<string, unknown>; positionals: string[] } {
  const options = Object.fromEntries(
    OPTIONS.map((o) => [o.name, { type: o.value ? 'string' : 'boolean', multiple: o.multiple ?? false } as const]),
  );
  try {
    const { values, positionals, tokens } = parseArgs({
      args: [...argv],
      options,
      allowPositionals: true,
      strict: true,
      tokens: true,
    });
    for (const token of tokens)
      if (token.kind === 'option' && token.value === '')
        throw new UsageError(`--${token.name} needs a value. See: toxmail --help`);
    return { values, positionals };
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof TypeError)) throw error;
    const [, option = ''] = /^Unknown option '--([^']*)'/.exec(error.message) ?? [];
    const meant = nearest(
      option,
      OPTIONS.map(({ name }) => name),
    );
    throw new UsageError(
      `${firstSentence(error.message)}${meant ? ` Did you mean --${meant}?` : ''} See: toxmail --help`,
    );
  }
}

function findCommand(words: readonly string[]): { command: CommandSpec; rest: readonly string[] } | undefined {
  for (const count of [2, 1, 0]) {
    if (words.length < count) continue;
    const name = words.slice(0, count).join(' ');
    const known = COMMANDS.find((each) => each.name === name);
    if (known) return { command: known, rest: words.slice(count) };
    const alias = ALIASES.get(name);
    // Without a command there can be no further words: "toxmail stauts" is a mistake, not a run.
    if (alias !== undefined && words.length === count)
      return { command: COMMANDS.find((each) => each.name === alias)!, rest: [] };
  }
  return undefined;
}

function unknownCommand(words: readonly string[]): string {
  const family = COMMANDS.filter((each) => each.name.startsWith(`${words[0]} `)).map((each) => each.name);
  if (family.length > 0) return `"${words[0]}" needs one of: ${family.join(', ')}`;
  const meant = nearest(words.join(' '), COMMAND_WORDS) ?? nearest(words[0]!, COMMAND_WORDS);
  return `There is no command "${words[0]}".${meant ? ` Did you mean: toxmail ${meant}?` : ''} See: toxmail --help`;
}

/** Whole names, their first words, and short forms. */
const COMMAND_WORDS = new Set([...COMMANDS.flatMap(({ name }) => [name, name.split(' ')[0]!]), ...ALIASES.keys()]);

function named(command: CommandSpec, words: readonly string[], help: boolean): Record<string, string> {
  const required = command.positionals.filter((each) => !each.endsWith('?'));
  const surplus = words[command.positionals.length];
  if (!help && surplus !== undefined)
    throw new UsageError(`"${surplus}" is one word too many. usage: toxmail ${usageOf(command)}`);
  if (!help && words.length < required.length) throw new UsageError(`usage: toxmail ${usageOf(command)}`);
  const names = command.positionals.map((each) => each.replace('?', ''));
  return Object.fromEntries(words.map((word, index) => [names[index] ?? String(index), word]));
}

function waitSeconds(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const seconds = Number(value);
  if (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) && seconds <= WAIT_MAX_S) return seconds;
  throw new UsageError('--wait needs a number of seconds');
}

function firstSentence(message: string): string {
  const end = message.indexOf('. ');
  const sentence = (end < 0 ? message : message.slice(0, end)).replaceAll('\n', ' ');
  return sentence.endsWith('.') ? sentence : `${sentence}.`;
}
