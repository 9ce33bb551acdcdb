import type { RelayClientHooks } from '../../src/relay/client.ts';

/** What a hook of a relay client was told: its name and its arguments, keys and data as copies. */
export type Told = readonly [string, ...unknown[]];

/** Hooks that write down what they are told; `heard` after each. */
export function tellInto(told: Told[], heard: () => void = () => {}): RelayClientHooks {
  const note =
    (name: string) =>
    (_now: number, ...rest: unknown[]) => {
      told.push([name, ...rest.map((x) => (x instanceof Uint8Array ? x.slice() : x))]);
      heard();
    };
  return {
    onOnline: note('online'),
    onRoute: note('route'),
    onRouteRefused: note('refused'),
    onPeer: note('peer'),
    onData: note('data'),
    onOob: note('oob'),
    onOnionResponse: note('onion'),
  };
}
