/** Bytes of an entry: the last two of an oid, and a position of six. */
const ENTRY = 8;

/**
 * The part of an index file that belongs to the 65,536 oids of one prefix: n 2-byte ends of oids, sorted, then n 6-byte positions,
 * big-endian. It is used as it was read, so that opening a large file costs next to nothing.
 */
export class StoredBucket {
  readonly content: Buffer;
  /** Number of entries. */
  readonly count: number;
  #ascending: boolean | undefined;

  constructor(content: Buffer) {
    this.content = content;
    this.count = content.length / ENTRY;
  }

  /** The place of an entry; -1 when there is none. */
  find(suffix: number): number {
    // Where oids are dense, an entry is found without a search.
    const guess = suffix - this.suffix(0);
    if (guess >= 0 && guess < this.count && this.suffix(guess) === suffix) return guess;
    const rank = this.from(suffix);
    return rank < this.count && this.suffix(rank) === suffix ? rank : -1;
  }

  /** The place of the first entry at or after `suffix`. */
  from(suffix: number): number {
    const { count } = this;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.suffix(middle) < suffix) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  suffix(rank: number): number {
    const { content } = this;
    const at = rank * 2;
    return content[at]! * 0x100 + content[at + 1]!;
  }

  position(rank: number): number {
    const { content } = this;
    const at = this.count * 2 + rank * 6;
    return (
      (content[at]! * 0x100 + content[at + 1]!) * 0x1_0000_0000 +
      content[at + 2]! * 0x100_0000 +
      ((content[at + 3]! << 16) | (content[at + 4]! << 8) | content[at + 5]!)
    );
  }

  setPosition(rank: number, position: number): void {
    const at = this.count * 2 + rank * 6;
    this.content.writeUInt16BE(Math.floor(position / 0x1_0000_0000), at);
    this.content.writeUInt32BE(position % 0x1_0000_0000, at + 2);
  }

  /** Whether it is sorted. A damaged one may not be. */
  isAscending(): boolean {
    return (this.#ascending ??= this.#checkOrder());
  }

  #checkOrder(): boolean {
    for (let rank = 1; rank < this.count; rank++) {
      if (this.suffix(rank) <= this.suffix(rank - 1)) return false;
    }
    return true;
  }
}
