import type { Cancel as CancelTimer, Scheduler } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Inbox } from './inbox.ts';
import {
  BASE_CREDIT,
  CONTROL_QUEUE,
  EAGER_LIMIT,
  HELLO_TIMEOUT_MS,
  OPEN_TRANSFERS,
  SILENCE_TIMEOUT_MS,
} from './limits.ts';
import type { Link } from './link.ts';
import { transferStatus } from './outcome.ts';
import { decode, encode, type Hello, type Packet, VERSION } from './packets.ts';
import { Receiver } from './receiver.ts';
import { Sender, type SessionPort, type TransferJob, type TransferOutcome } from './sender.ts';

export interface SessionDeps {
  readonly link: Link;
  readonly scheduler: Scheduler;
  readonly log: Logger;
  readonly inbox: Inbox;
  /** The peer takes mail: it said hello, perhaps after mails were turned back because it had not. */
  onReady(peer: string): void;
}

/**
 * `greeting`: we said hello and wait. `plain`: no hello came, an ordinary Tox program. `ready`: both sides know each
 * other. `broken`: it broke the rules. Only a new hello or a new session leads on from the last three.
 */
type State = 'greeting' | 'plain' | 'ready' | 'broken';

/** Waiting mails and open ones are looked at so often. */
const WATCH_MS = 30_000;

/** What goes on with one peer from the moment it is online until it is not. */
export class PeerSession implements SessionPort {
  readonly #peer: string;
  readonly #deps: SessionDeps;
  readonly #sender: Sender;
  #receiver: Receiver;
  #state: State = 'greeting';
  /** Bounded by CONTROL_QUEUE. */
  #control: Uint8Array[] = [];
  #pumping = false;
  #pumpAgain = false;
  #over = false;
  #lastWord: number;
  #helloTimer: CancelTimer | undefined;
  #watch: CancelTimer | undefined;

  constructor(peer: string, deps: SessionDeps) {
    this.#peer = peer;
    this.#deps = deps;
    this.#sender = new Sender(this, deps.log);
    this.#receiver = new Receiver(peer, this, deps.inbox);
    this.#lastWord = deps.scheduler.mono();
    this.#sayHello(false);
    this.#helloTimer = deps.scheduler.at(deps.scheduler.mono() + HELLO_TIMEOUT_MS, () => this.#noHello());
  }

  get ready(): boolean {
    return this.#state === 'ready';
  }

  deliver(job: TransferJob, progress: (sent: number) => void, signal: AbortSignal): Promise<TransferOutcome> {
    if (this.#state === 'plain') return Promise.resolve({ kind: 'offline', status: transferStatus.noHello() });
    if (this.#state === 'broken') return Promise.resolve({ kind: 'failed', status: transferStatus.brokenPeer() });
    this.#startWatch();
    return this.#sender.deliver(job, progress, signal);
  }

  /** One custom lossless packet; anything that is not ours is left to others. */
  packet(data: Uint8Array): void {
    const packet = decode(data);
    if (!packet) return;
    this.#lastWord = this.#deps.scheduler.mono();
    if (packet.kind === 'hello') this.#onHello(packet);
    else if (this.#state === 'ready') this.#onPacket(packet);
  }

  /** The peer went offline, or we stop. */
  end(): void {
    this.#over = true;
    this.#helloTimer?.();
    this.#watch?.();
    this.#control = [];
    this.#receiver.end();
    this.#sender.end({ kind: 'offline' });
  }

  control(packet: Packet): void {
    if (this.#over || this.#state === 'broken') return;
    if (this.#control.length >= CONTROL_QUEUE) {
      this.violation('does not read');
      return;
    }
    this.#control.push(encode(packet));
    this.#flush();
  }

  send(bytes: Uint8Array): boolean {
    return this.#control.length === 0 && this.#deps.link.send(this.#peer, bytes);
  }

  pump(): void {
    if (this.#over) return;
    if (this.#pumping) {
      this.#pumpAgain = true;
      return;
    }
    this.#pumping = true;
    try {
      do {
        this.#pumpAgain = false;
        if (this.#flush()) this.#sender.pump();
      } while (this.#pumpAgain && !this.#over);
    } finally {
      this.#pumping = false;
    }
  }

  violation(reason: string): void {
    if (this.#state === 'broken' || this.#over) return;
    this.#deps.log.warn('transfer.violation', { reason });
    this.#state = 'broken';
    this.#control = [];
    this.#receiver.end();
    this.#sender.end({ kind: 'failed', status: transferStatus.brokenPeer() });
  }

  #onHello(hello: Hello): void {
    if (hello.answer && this.#state !== 'greeting' && this.#state !== 'plain') return;
    this.#helloTimer?.();
    if (!hello.answer) {
      if (this.#state === 'ready' || this.#state === 'broken') {
        this.#sender.restart();
        this.#receiver.end();
        this.#receiver = new Receiver(this.#peer, this, this.#deps.inbox);
        this.#control = [];
      }
      this.#state = 'ready';
      this.#sayHello(true);
    }
    this.#state = 'ready';
    this.#sender.onHello(hello);
    this.#deps.onReady(this.#peer);
    this.pump();
  }

  #onPacket(packet: Exclude<Packet, Hello>): void {
    switch (packet.kind) {
      case 'offer':
        this.#receiver.onOffer(packet);
        this.#startWatch();
        return;
      case 'data':
        this.#receiver.onData(packet);
        return;
      case 'cancel':
        this.#receiver.onCancel(packet);
        return;
      case 'accept':
        this.#sender.onAccept(packet);
        break;
      case 'refuse':
        this.#sender.onRefuse(packet);
        break;
      case 'stored':
        this.#sender.onStored(packet);
        break;
      case 'credit':
        this.#sender.onCredit(packet);
        break;
    }
    this.pump();
  }

  #sayHello(answer: boolean): void {
    this.control({
      kind: 'hello',
      version: VERSION,
      answer,
      openTransfers: OPEN_TRANSFERS,
      credit: BASE_CREDIT,
      eagerLimit: EAGER_LIMIT,
      maxSize: this.#deps.inbox.maxSize,
    });
  }

  #noHello(): void {
    if (this.#state !== 'greeting' || this.#over) return;
    this.#state = 'plain';
    this.#sender.end({ kind: 'offline', status: transferStatus.noHello() });
  }

  /** True when no control packet waits. */
  #flush(): boolean {
    let done = 0;
    while (done < this.#control.length && this.#deps.link.send(this.#peer, this.#control[done]!)) done++;
    if (done > 0) this.#control = this.#control.slice(done);
    return this.#control.length === 0;
  }

  /** Runs while mails are open in either direction. */
  #startWatch(): void {
    if (this.#watch || this.#over) return;
    const { scheduler } = this.#deps;
    this.#watch = scheduler.at(scheduler.mono() + WATCH_MS, () => {
      this.#watch = undefined;
      if (this.#over) return;
      const now = scheduler.mono();
      this.#receiver.checkStalled(now);
      if (this.#sender.openCount > 0 && now - this.#lastWord > SILENCE_TIMEOUT_MS) {
        this.#sender.giveUp({ kind: 'failed', status: transferStatus.silent() });
      }
      if (!this.#sender.idle || !this.#receiver.idle) this.#startWatch();
    });
  }
}
