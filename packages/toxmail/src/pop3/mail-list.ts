import type { Clock } from '../base/clock.ts';
import { Slices } from '../base/slices.ts';
import type { Maildir, MailPlace } from '../maildir/maildir.ts';
import { uniqueOf } from '../maildir/name.ts';

/** BOUNDED: mails of all the lists that are kept, some 150 bytes each; those not used for longest go. */
const KEPT_MAILS_MAX = 250_000;

/** The mails of a maildrop and their sizes at one time. It does not change: sessions share it. */
export class MailList {
  readonly #paths: readonly string[];
  readonly #sizes: Float64Array;
  /** Of all mails together. */
  readonly octets: number;

  private constructor(paths: readonly string[], sizes: Float64Array) {
    this.#paths = paths;
    this.#sizes = sizes;
    this.octets = sizes.reduce((sum, size) => sum + size, 0);
  }

  static async read(maildir: Maildir): Promise<MailList> {
    const paths: string[] = [];
    const sizes: number[] = [];
    const slices = new Slices(1);
    for (const mail of await maildir.list()) {
      if (mail.wireSize === undefined && slices.over) await slices.pause();
      const size = mail.wireSize ?? (await maildir.wireSizeOf(mail));
      if (size === undefined) continue; // another program has just removed it
      paths.push(mail.path);
      sizes.push(size);
    }
    return new MailList(paths, Float64Array.from(sizes));
  }

  get length(): number {
    return this.#paths.length;
  }

  /** `i` from 0 up. */
  at(i: number): MailPlace {
    const path = this.#paths[i]!;
    return { unique: uniqueOf(path), path };
  }

  /** Octets as sent, byte-stuffing not counted. */
  sizeAt(i: number): number {
    return this.#sizes[i]!;
  }
}

/** The lists of the last sessions: a program that looks for mail every few minutes mostly finds what was there. */
export class MailLists {
  readonly #clock: Clock;
  readonly #mailsMax: number;
  /** The one used last stands at the end. */
  readonly #kept = new Map<Maildir, { readonly list: MailList; readonly stamp: string }>();

  constructor(clock: Clock, mailsMax = KEPT_MAILS_MAX) {
    this.#clock = clock;
    this.#mailsMax = mailsMax;
  }

  /** The list as it is now. */
  async of(maildir: Maildir): Promise<MailList> {
    const stamp = await maildir.stamp(this.#clock.unixMs());
    const known = this.#kept.get(maildir);
    this.#kept.delete(maildir);
    const list = known && known.stamp === stamp ? known.list : await MailList.read(maildir);
    if (stamp !== undefined) {
      this.#kept.set(maildir, { list, stamp });
      this.#bound();
    }
    return list;
  }

  #bound(): void {
    let mails = 0;
    for (const { list } of this.#kept.values()) mails += list.length;
    for (const [maildir, { list }] of this.#kept) {
      if (mails <= this.#mailsMax) return;
      this.#kept.delete(maildir);
      mails -= list.length;
    }
  }
}
