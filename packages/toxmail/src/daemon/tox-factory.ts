import { type Env, hasNetwork, ToxError, ToxNode } from '@toxmail/tox';
import type { Logger } from '../base/log.ts';
import { UserError } from '../base/user-error.ts';
import type { ToxFactory, ToxPeer, ToxPeerEvents } from './tox-peer.ts';

/** Nodes of @toxmail/tox. */
export function toxFactory(log: Logger): ToxFactory {
  let network = hasNetwork();
  const report: Env['log'] = (id, fields) => {
    log.debug(`tox.${id}`, fields);
    if (id !== 'network.changed' || hasNetwork() === network) return;
    network = hasNetwork(); // each node tells of the same change: one line for all
    if (network) log.info('network.back');
    else log.warn('network.none');
  };
  return {
    hasNetwork,

    newProfile() {
      const { save, toxId } = ToxNode.newProfile();
      return { profile: save, toxId };
    },

    toxIdOf(profile) {
      try {
        return ToxNode.toxIdOf(profile);
      } catch (error) {
        if (error instanceof ToxError && error.kind === 'bad-save') return undefined;
        throw error;
      }
    },

    async start({ profile, udpPort, udp, proxy, bootstrap, lanDiscovery, relayPorts }) {
      try {
        const node = await ToxNode.create({
          save: profile,
          udp: udp && { port: udpPort },
          proxy,
          bootstrap,
          lanDiscovery,
          relay: relayPorts.length > 0 ? { ports: relayPorts } : undefined,
          log: report,
        });
        return peerOf(node);
      } catch (error) {
        if (!(error instanceof ToxError)) throw error;
        if (error.kind === 'port-in-use') return undefined;
        if (error.kind === 'relay-port-in-use') throw relayPortTaken(relayPorts);
        throw error;
      }
    },
  };
}

export function relayPortTaken(ports: readonly number[]): UserError {
  const named = ports.length === 1 ? `TCP port ${ports[0]} is` : `TCP ports ${ports.join(', ')} are`;
  return new UserError(`${named} not free, or only for root. Choose another one with --tcp-relay-port.`);
}

function listen(node: ToxNode, events: ToxPeerEvents): void {
  node.on('connection', ({ connection }) => events.connection(connection));
  node.on('friend-request', ({ publicKey, message }) => events.friendRequest(publicKey, message));
  node.on('friend-connection', ({ friend, online }) => events.friendConnection(friend, online));
  node.on('lossless', ({ friend, data }) => events.packet(friend, data));
  node.on('writable', ({ friend }) => events.writable(friend));
}

function peerOf(node: ToxNode): ToxPeer {
  return {
    toxId: node.toxId,
    publicKey: node.publicKey,
    dhtPublicKey: node.dhtPublicKey,
    udpPort: node.udpPort,
    relayPorts: node.relayPorts,
    get connection() {
      return node.connection;
    },
    get nodes() {
      return node.nodes;
    },
    addFriend: (toxId, message) => void node.addFriend(toxId, message),
    acceptFriend: (publicKey) => void node.acceptFriend(publicKey),
    removeFriend: (publicKey) => node.removeFriend(publicKey),
    friends: () => node.friends.map((friend) => friend.publicKey),
    sendLossless(publicKey, packet) {
      try {
        return node.sendLossless(publicKey, packet);
      } catch (error) {
        // It went a moment ago; the event that says so is on its way.
        if (error instanceof ToxError && (error.kind === 'friend-offline' || error.kind === 'unknown-friend'))
          return false;
        throw error;
      }
    },
    listen: (events) => listen(node, events),
    save: () => node.save(),
    close: () => node.close(),
  };
}
