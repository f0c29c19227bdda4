/**
 * The object behind a user's `Proxy` of a persistent object. `util.inspect` is the only public way to it: with `showProxy` it calls the target's own
 * inspect hook with the target as `this`.
 */
import { inspect } from 'node:util';

let listening = false;
let found: object | undefined;

/** Called by the inspect hook of persistent objects first. True when the call was only made to learn `this`. */
export function caught(object: object): boolean {
  if (!listening) return false;
  found ??= object;
  return true;
}

/** The persistent object that a proxy, or a proxy of a proxy, stands for. */
export function unwrapProxy(proxy: object): object | undefined {
  const [wasListening, wasFound] = [listening, found];
  listening = true;
  found = undefined;
  try {
    inspect(proxy, { showProxy: true, depth: 2, customInspect: true });
    return found;
  } finally {
    listening = wasListening;
    found = wasFound;
  }
}
