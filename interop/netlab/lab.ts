import { Internet, type Line, type LineQuality } from './internet.ts';
import { Namespace } from './namespace.ts';
import { type NatKind, natRules } from './nat.ts';

export type { Flow } from './internet.ts';
export { netlabMissing } from './namespace.ts';
export { NAT_KINDS, type NatKind } from './nat.ts';

/** Every device that leads out of a host or router. */
const UPLINK = 'wan';
/** One way, host to middle: two hosts are 40 ms apart, there and back. */
const DEFAULT_DELAY_MS = 10;
const HOME = '192.168.1';
/** A TUN device has no neighbours: all the world is at its other end. */
const PUBLIC_UP = `link set ${UPLINK} up\nroute replace default dev ${UPLINK}`;

export interface RouterOptions {
  /** Those behind reach each other by the outer address, too. */
  hairpin?: boolean;
  /** First three numbers of the LAN's addresses. All homes have the same by default, as in life. */
  lan?: string;
}

/**
 * A small internet of network namespaces. Nothing in it can reach the outside. Hosts and routers go with it, or before
 * it when they are disposed of themselves.
 */
export class Lab implements AsyncDisposable {
  readonly #internet: Internet;
  readonly #namespaces: Namespace[] = [];
  #addresses = 0;

  private constructor(internet: Internet) {
    this.#internet = internet;
  }

  static async create(): Promise<Lab> {
    return new Lab(await Internet.start());
  }

  /** A host with a public address and no firewall. */
  async host(): Promise<Host> {
    const namespace = await this.namespace();
    const { address, line } = await this.#connect(namespace);
    const newAddress = () => this.#newAddress();
    return new Host({ namespace, address, publicAddress: address, line, up: PUBLIC_UP, newAddress });
  }

  /** A router with a public address. */
  async router(kind: NatKind, options: RouterOptions = {}): Promise<Router> {
    const namespace = await this.namespace();
    const { address, line } = await this.#connect(namespace);
    return Router.build(this, namespace, address, line, kind, options);
  }

  /** Packets so far between two public addresses, as the internet saw them. */
  flows() {
    return this.#internet.flows();
  }

  async namespace(): Promise<Namespace> {
    const namespace = await Namespace.create();
    this.#namespaces.push(namespace);
    return namespace;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#namespaces.map((namespace) => namespace[Symbol.asyncDispose]()));
    await this.#internet[Symbol.asyncDispose]();
  }

  async #connect(namespace: Namespace): Promise<{ address: string; line: Line }> {
    const address = this.#newAddress();
    const line = await this.#internet.line(namespace, UPLINK);
    await line.takeAddress(address);
    await line.set({ delayMs: DEFAULT_DELAY_MS });
    await namespace.ip(`addr add ${address}/32 dev ${UPLINK}\n${PUBLIC_UP}`);
    return { address, line };
  }

  /** Each in a /16 of its own, as strangers' addresses are. */
  #newAddress(): string {
    const n = ++this.#addresses;
    return `${20 + (n >> 8)}.${n & 255}.0.1`;
  }
}

/** NAT between the hosts and routers behind it and what is above it. */
export class Router implements AsyncDisposable {
  /** Under which those behind are seen. */
  readonly publicAddress: string;
  /** To the internet, of the outermost router. */
  readonly line: Line;
  readonly #lab: Lab;
  readonly #namespace: Namespace;
  readonly #lan: string;
  #hosts = 0;

  private constructor(lab: Lab, namespace: Namespace, publicAddress: string, line: Line, lan: string) {
    this.#lab = lab;
    this.#namespace = namespace;
    this.publicAddress = publicAddress;
    this.line = line;
    this.#lan = lan;
  }

  /** For `Lab` and `Router`: turns a namespace that has its uplink into a router. */
  static async build(
    lab: Lab,
    namespace: Namespace,
    publicAddress: string,
    line: Line,
    kind: NatKind,
    { hairpin = false, lan = HOME }: RouterOptions,
  ): Promise<Router> {
    await namespace.ip(`link add lan type bridge\naddr add ${lan}.1/24 dev lan\nlink set lan up`);
    await namespace.sysctl('net/ipv4/ip_forward 1\nnet/bridge/bridge-nf-call-iptables 0');
    await namespace.nft(natRules(kind, hairpin));
    return new Router(lab, namespace, publicAddress, line, lan);
  }

  async host(): Promise<Host> {
    const namespace = await this.#lab.namespace();
    const address = await this.#connect(namespace);
    const { publicAddress, line } = this;
    return new Host({ namespace, address, publicAddress, line, up: this.#up });
  }

  /** A router behind this one. */
  async router(kind: NatKind, options: RouterOptions = {}): Promise<Router> {
    const namespace = await this.#lab.namespace();
    await this.#connect(namespace);
    return Router.build(this.#lab, namespace, this.publicAddress, this.line, kind, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#namespace[Symbol.asyncDispose]();
  }

  async #connect(namespace: Namespace): Promise<string> {
    const port = `port${++this.#hosts}`;
    const address = `${this.#lan}.${this.#hosts + 1}`;
    await this.#namespace.ip(
      `link add ${port} type veth peer name ${UPLINK} netns ${namespace.name}\nlink set ${port} master lan up`,
    );
    await namespace.ip(`addr add ${address}/24 dev ${UPLINK}\n${this.#up}`);
    return address;
  }

  get #up(): string {
    return `link set ${UPLINK} up\nroute replace default via ${this.#lan}.1`;
  }
}

interface HostParts {
  readonly namespace: Namespace;
  readonly address: string;
  readonly publicAddress: string;
  readonly line: Line;
  /** Brings the interface and its routes up. */
  readonly up: string;
  /** Only for hosts without a router. */
  readonly newAddress?: () => string;
}

/** A machine that programs run on. */
export class Host implements AsyncDisposable {
  /** Of its own interface. */
  address: string;
  /** Under which the internet sees it. */
  publicAddress: string;
  readonly #parts: HostParts;

  constructor(parts: HostParts) {
    this.#parts = parts;
    this.address = parts.address;
    this.publicAddress = parts.publicAddress;
  }

  /** What to put in front of a command so that it runs here. */
  get prefix(): readonly string[] {
    return this.#parts.namespace.prefix;
  }

  /** Pulls the cable: the interface is down, its routes are gone. */
  async unplug(): Promise<void> {
    await this.#parts.namespace.ip(`link set ${UPLINK} down`);
  }

  /** Puts the cable back in. */
  async plug(): Promise<void> {
    await this.#parts.namespace.ip(this.#parts.up);
  }

  /** Moves a public host to another network; nobody has the old address then. */
  async move(): Promise<void> {
    const { namespace, line, newAddress } = this.#parts;
    if (!newAddress) throw new Error('only hosts without a router move');
    const address = newAddress();
    await namespace.ip(`addr flush dev ${UPLINK}\naddr add ${address}/32 dev ${UPLINK}\n${PUBLIC_UP}`);
    await line.takeAddress(address);
    this.address = this.publicAddress = address;
  }

  /** More addresses to send from, and to be answered at. */
  async addAddresses(count: number): Promise<string[]> {
    const addresses = Array.from({ length: count }, (_, n) => `30.${n >> 8}.${n & 255}.1`);
    await this.#parts.namespace.ip(addresses.map((address) => `addr add ${address}/32 dev lo`).join('\n'));
    for (const address of addresses) await this.#parts.line.takeAddress(address);
    return addresses;
  }

  /** Delay, loss and rate of the line to the internet, shared by all behind the same router. */
  async setLine(quality: LineQuality): Promise<void> {
    await this.#parts.line.set({ delayMs: DEFAULT_DELAY_MS, ...quality });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.namespace[Symbol.asyncDispose]();
  }
}
