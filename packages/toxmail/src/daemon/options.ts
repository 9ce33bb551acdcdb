/** What a `run` option's value may be. `ports` and `nodes` are lists, of ports and of `HOST:PORT:KEY`; `list` one of other texts. */
export type OptionKind = 'port' | 'ports' | 'text' | 'switch' | 'count' | 'nodes' | 'list' | 'level';

export interface RunOption {
  readonly name: string;
  readonly kind: OptionKind;
  /** How the value is called in the help text. */
  readonly value?: string;
  readonly help: string;
  /** Of `toxmail bootstrap`, and not of `run`. */
  readonly only?: 'bootstrap';
}

/** The options of `toxmail run` and `bootstrap`: flags on the command line, keys of the same name in config.toml. */
export const RUN_OPTIONS = [
  { name: 'smtp-port', kind: 'port', value: 'PORT', help: 'SMTP for mail programs (2525)' },
  { name: 'smtps-port', kind: 'port', value: 'PORT', help: 'SMTP over TLS (2465)' },
  { name: 'pop3-port', kind: 'port', value: 'PORT', help: 'POP3 for mail programs (2110)' },
  { name: 'pop3s-port', kind: 'port', value: 'PORT', help: 'POP3 over TLS (2995)' },
  { name: 'imap-port', kind: 'port', value: 'PORT', help: 'IMAP for mail programs (2143)' },
  { name: 'imaps-port', kind: 'port', value: 'PORT', help: 'IMAP over TLS (2993)' },
  { name: 'web-port', kind: 'port', value: 'PORT', help: 'web page with settings for mail programs (2580)' },
  {
    name: 'listen',
    kind: 'text',
    value: 'ADDR',
    help: 'where mail programs connect (127.0.0.1); 0.0.0.0 or :: for all',
  },
  {
    name: 'tls-cert',
    kind: 'text',
    value: 'FILE',
    help: 'your own certificate with its issuers, PEM; else one is made',
  },
  { name: 'tls-key', kind: 'text', value: 'FILE', help: 'its key, PEM' },
  {
    name: 'tls-name',
    kind: 'list',
    value: 'NAME',
    help: 'a further name of this machine for its certificate (repeatable)',
  },
  { name: 'udp-port', kind: 'port', value: 'PORT', help: 'first UDP port of Tox (33445 or the next free one)' },
  {
    name: 'tcp-relay-port',
    kind: 'ports',
    value: 'PORT',
    help: 'be a TCP relay for friends and others at this port (none; bootstrap: 33445, 3389, 443; repeatable)',
  },
  {
    name: 'bootstrap',
    kind: 'nodes',
    value: 'HOST:PORT:KEY',
    help: 'a Tox node to start from instead of the public ones (repeatable); none: no node at all',
  },
  { name: 'no-lan', kind: 'switch', help: 'neither look for others in the local network nor be found there' },
  { name: 'no-udp', kind: 'switch', help: 'TCP relays only' },
  {
    name: 'proxy',
    kind: 'text',
    value: 'URL',
    help: 'reach Tox through socks5://[USER:PASSWORD@]HOST:PORT or http://…, and nothing beside it',
  },
  { name: 'motd', kind: 'text', value: 'TEXT', help: 'what the node says of itself (Toxmail)', only: 'bootstrap' },
  {
    name: 'relay-clients',
    kind: 'count',
    value: 'N',
    help: 'how many clients the relay serves at once (4096)',
    only: 'bootstrap',
  },
  {
    name: 'relay-rate',
    kind: 'count',
    value: 'MIB',
    help: 'MiB per second that all its clients together may send (64)',
    only: 'bootstrap',
  },
  {
    name: 'metrics-port',
    kind: 'port',
    value: 'PORT',
    help: 'figures for Prometheus, http://127.0.0.1:PORT/metrics (none)',
    only: 'bootstrap',
  },
  { name: 'relay-from', kind: 'list', value: 'ADDR[/BITS]', help: 'a mail server that needs no log-in (repeatable)' },
  { name: 'deliver', kind: 'text', value: 'URL', help: 'hand mail over: lmtp://H:P, lmtp+unix:/PATH, smtp://H:P' },
  { name: 'deliver-to', kind: 'text', value: '@DOMAIN', help: 'to ACCOUNT@DOMAIN there' },
  { name: 'log-level', kind: 'level', value: 'LEVEL', help: 'debug, info, warn or error (info)' },
  { name: 'log-json', kind: 'switch', help: 'one JSON document per log line' },
] as const satisfies readonly RunOption[];

export type RunOptionName = (typeof RUN_OPTIONS)[number]['name'];
/** Tables that only config.toml can have. */
export const FILE_TABLES = ['senders', 'accounts'] as const;
/** Values as written: from the command line they are texts, from TOML they have types. */
export type RunOptionValues = Partial<Record<RunOptionName | (typeof FILE_TABLES)[number], unknown>>;
