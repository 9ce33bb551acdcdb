export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Public facts only: never a password, a secret key, the text of a mail or the address of a correspondent. */
export type LogFields = Record<string, string | number | boolean | null | undefined>;

/** Lines carry a stable id (`smtp.accepted`, `queue.failed`) and fields. */
export interface Logger {
  debug(id: string, fields?: LogFields): void;
  info(id: string, fields?: LogFields): void;
  warn(id: string, fields?: LogFields): void;
  error(id: string, fields?: LogFields): void;
}

export interface LogOptions {
  level: LogLevel;
  /** One JSON document per line instead of text. */
  json: boolean;
  unixMs(): number;
  write(line: string): void;
}

export function createLogger(options: LogOptions): Logger {
  const least = LOG_LEVELS.indexOf(options.level);
  const line =
    (level: LogLevel) =>
    (id: string, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(level) < least) return;
      const time = new Date(options.unixMs()).toISOString();
      options.write(
        printable(options.json ? JSON.stringify({ time, level, id, ...fields }) : text(time, level, id, fields)),
      );
    };
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

export const silentLogger: Logger = createLogger({ level: 'error', json: false, unixMs: () => 0, write: () => {} });

/** What of an error may be logged: its name, code and message. */
export function errorField(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** What JSON leaves as it is and a terminal obeys: DEL, C1 controls, line separators, signs that turn the direction. */
function printable(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function text(time: string, level: LogLevel, id: string, fields: LogFields): string {
  const words = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? quoted(value) : value}`);
  return [time, level.toUpperCase().padEnd(5), id, ...words].join(' ');
}

/** Quoted when it holds anything that could be taken for another field or another line. */
function quoted(value: string): string {
  return /^[\w.:@/+-]+$/.test(value) ? value : JSON.stringify(value);
}
