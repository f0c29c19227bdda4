import { itemsOf, numberOf, tuple, type WireValue } from '../wire/values';
import type { ServerLink } from './link';

/** What the server tells of its storage: `get_info`, and `info` when the size has changed by our own commits. */
export class ServerInfo {
  readonly values = new Map<WireValue, WireValue>();
  /** Others have changed the storage since. */
  #isOld = false;

  merge(info: ReadonlyMap<WireValue, WireValue>): void {
    for (const [key, value] of info) this.values.set(key, value);
  }

  /** The arguments of an `info` message. */
  receive(args: WireValue): void {
    const [info] = itemsOf(args) ?? [];
    if (info instanceof Map) this.merge(info as Map<WireValue, WireValue>);
  }

  outdate(): void {
    this.#isOld = true;
  }

  /** A number as it is now. */
  number(name: string, link: ServerLink): number {
    if (this.#isOld && link.connection) {
      this.#isOld = false;
      const reply = link.read((connection) => connection.call('get_info', tuple(), (info) => info));
      if (reply instanceof Map) this.merge(reply as Map<WireValue, WireValue>);
    }
    return numberOf(this.values.get(name)) ?? 0;
  }
}

/** Counters and state of the server. */
export function serverStatus(link: ServerLink): Record<string, unknown> {
  const reply = link.call('server_status', tuple(), (value) => value);
  if (!(reply instanceof Map)) return {};
  return Object.fromEntries([...reply].map(([key, value]) => [String(key), numberOf(value) ?? value]));
}
