import { FLAG, type Codec } from '../wire/codec';
import type { WireTuple } from '../wire/values';

/** What commits changed, in their order, as messages that are encoded once for all clients with the same codec. */
export class InvalidationBatch {
  readonly #changes: readonly WireTuple[];
  readonly #encoded = new Map<string, { bytes: Buffer; ends: number[] }>();

  /** @param changes tid and oids of each commit */
  constructor(changes: readonly WireTuple[]) {
    this.#changes = changes;
  }

  /** Number of commits. */
  get length(): number {
    return this.#changes.length;
  }

  /** The messages of commits `from` up to, not including, `to`. */
  bytes(codec: Codec, from: number, to: number): Buffer {
    let encoded = this.#encoded.get(codec.letter);
    if (!encoded) this.#encoded.set(codec.letter, (encoded = this.#encode(codec)));
    const { bytes, ends } = encoded;
    return bytes.subarray(from === 0 ? 0 : ends[from - 1], to === 0 ? 0 : ends[to - 1]);
  }

  #encode(codec: Codec): { bytes: Buffer; ends: number[] } {
    let end = 0;
    const ends: number[] = [];
    const messages = this.#changes.map((changes) => {
      const message = codec.encode(0, FLAG.oneWay, 'invalidateTransaction', changes);
      ends.push((end += message.length));
      return message;
    });
    return { bytes: messages.length === 1 ? messages[0]! : Buffer.concat(messages, end), ends };
  }
}
