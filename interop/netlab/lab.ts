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
    return new Host({ namespace, access: await this.#connect(namespace), up: PUBLIC_UP });
  }

  /** A router with a public address. */
  async router(kind: NatKind, options: RouterOptions = {}): Promise<Router> {
    const namespace = await this.namespace();
    return Router.build(this, namespace, await this.#connect(namespace), kind, options);
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

  /** Each address is in a /16 of its own, as strangers' addresses are. */
  async #connect(namespace: Namespace): Promise<Access> {
    const newAddress = () => {
      const n = ++this.#addresses;
      return `${20 + (n >> 8)}.${n & 255}.0.1`;
    };
    const line = await this.#internet.line(namespace, UPLINK);
    await line.set({ delayMs: DEFAULT_DELAY_MS });
    const access = new Access(namespace, line, newAddress);
    await access.move();
    return access;
  }
}

/** One connection with the internet, as a provider sells it: a line and an address. */
class Access {
  address = '';
  readonly line: Line;
  readonly #namespace: Namespace;
  readonly #newAddress: () => string;

  constructor(namespace: Namespace, line: Line, newAddress: () => string) {
    this.#namespace = namespace;
    this.line = line;
    this.#newAddress = newAddress;
  }

  /** Takes a new address; nobody has the old one then. */
  async move(): Promise<void> {
    this.address = this.#newAddress();
    await this.#namespace.ip(`addr flush dev ${UPLINK}\naddr add ${this.address}/32 dev ${UPLINK}\n${PUBLIC_UP}`);
    await this.line.takeAddress(this.address);
  }
}

/** NAT between the hosts and routers behind it and what is above it. */
export class Router implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #namespace: Namespace;
  /** Of the outermost router. */
  readonly #access: Access;
  readonly #lan: string;
  #hosts = 0;

  private constructor(lab: Lab, namespace: Namespace, access: Access, lan: string) {
    this.#lab = lab;
    this.#namespace = namespace;
    this.#access = access;
    this.#lan = lan;
  }

  /** For `Lab` and `Router`: turns a namespace that has its uplink into a router. */
  static async build(
    lab: Lab,
    namespace: Namespace,
    access: Access,
    kind: NatKind,
    { hairpin = false, lan = HOME }: RouterOptions,
  ): Promise<Router> {
    await namespace.ip(`link add lan type bridge\naddr add ${lan}.1/24 dev lan\nlink set lan up`);
    await namespace.sysctl('net/ipv4/ip_forward 1\nnet/bridge/bridge-nf-call-iptables 0');
    await namespace.nft(natRules(kind, hairpin));
    return new Router(lab, namespace, access, lan);
  }

  async host(): Promise<Host> {
    const namespace = await this.#lab.namespace();
    const address = await this.#connect(namespace);
    return new Host({ namespace, access: this.#access, address, up: this.#up });
  }

  /** Under which those behind are seen. */
  get publicAddress(): string {
    return this.#access.address;
  }

  /** The provider gives another address, as many do each night; those behind are told nothing. */
  async move(): Promise<void> {
    await this.#access.move();
  }

  /** A router behind this one. */
  async router(kind: NatKind, options: RouterOptions = {}): Promise<Router> {
    const namespace = await this.#lab.namespace();
    await this.#connect(namespace);
    return Router.build(this.#lab, namespace, this.#access, kind, options);
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
  readonly access: Access;
  /** In its LAN; absent without a router. */
  readonly address?: string;
  /** Brings the interface and its routes up. */
  readonly up: string;
}

/** A machine that programs run on. */
export class Host implements AsyncDisposable {
  readonly #parts: HostParts;

  constructor(parts: HostParts) {
    this.#parts = parts;
  }

  /** Of its own interface. */
  get address(): string {
    return this.#parts.address ?? this.publicAddress;
  }

  /** Under which the internet sees it. */
  get publicAddress(): string {
    return this.#parts.access.address;
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

  /** Moves a public host to another network. */
  async move(): Promise<void> {
    if (this.#parts.address) throw new Error('only hosts without a router move');
    await this.#parts.access.move();
  }

  /** More addresses to send from, and to be answered at. */
  async addAddresses(count: number): Promise<string[]> {
    const addresses = Array.from({ length: count }, (_, n) => `30.${n >> 8}.${n & 255}.1`);
    await this.#parts.namespace.ip(addresses.map((address) => `addr add ${address}/32 dev lo`).join('\n'));
    for (const address of addresses) await this.#parts.access.line.takeAddress(address);
    return addresses;
  }

  /** Delay, loss and rate of the line to the internet, shared by all behind the same router. */
  async setLine(quality: LineQuality): Promise<void> {
    await this.#parts.access.line.set({ delayMs: DEFAULT_DELAY_MS, ...quality });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.namespace[Symbol.asyncDispose]();
  }
}
