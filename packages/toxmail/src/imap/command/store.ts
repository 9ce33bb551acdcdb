import type { Decoder } from '../syntax/decoder.ts';
import type { MessageSet } from '../syntax/sequence-set.ts';
import { readFlags } from './arguments.ts';

export interface StoreCommand {
  readonly verb: 'STORE';
  readonly uid: boolean;
  readonly set: MessageSet;
  readonly mode: 'add' | 'remove' | 'replace';
  readonly silent: boolean;
  readonly flags: readonly string[];
  /** RFC 7162 §3.1.3 */
  readonly unchangedSince: number | undefined;
}

const MODES = { '+FLAGS': 'add', '-FLAGS': 'remove', FLAGS: 'replace' } as const;

/**
 * `store = "STORE" SP sequence-set ["(" "UNCHANGEDSINCE" SP mod-sequence-value ")"] SP store-att-flags`,
 * `store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))`
 */
export function readStore(d: Decoder, uid: boolean): StoreCommand {
  d.space();
  const set = d.messageSet();
  d.space();
  let unchangedSince: number | undefined;
  if (d.peek() === 0x28) {
    d.list(() => {
      if (d.word() !== 'UNCHANGEDSINCE') d.fail('no such modifier');
      d.space();
      unchangedSince = d.number64();
    });
    d.space();
  }
  const [name, suffix, ...more] = d.keyword().split('.');
  const mode = MODES[name as keyof typeof MODES];
  if (!mode || (suffix !== undefined && suffix !== 'SILENT') || more.length > 0) d.fail('FLAGS expected');
  d.space();
  return { verb: 'STORE', uid, set, mode, silent: suffix === 'SILENT', flags: readFlags(d), unchangedSince };
}
