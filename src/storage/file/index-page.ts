/** A page of an oid index: 4,096 oids and where their newest records are. */
import { StoredBucket } from './stored-bucket';

export const PAGE_SIZE = 4096;
/** At this many entries a dense page (8 bytes an oid) takes no more than 14 bytes an entry. */
const DENSE_FROM = 2400;

/** In one of two shapes: sparse (sorted offsets and their positions) while it holds few entries, dense (one position per oid) from then on. */
export class Page {
  /** Entries that are set. */
  count = 0;
  /** Sorted offsets of a sparse page; undefined in a dense one. */
  offsets: Uint16Array | undefined = new Uint16Array(4);
  /** Positions: by rank in a sparse page, by offset in a dense one (0: none). */
  positions: Float64Array = new Float64Array(4);

  /** Takes in entries `from` to `to` of a bucket. */
  fill(bucket: StoredBucket, from: number, to: number): void {
    const added = to - from;
    if (this.count > 0 || !bucket.isAscending()) {
      for (let rank = from; rank < to; rank++)
        this.set(bucket.suffix(rank) % PAGE_SIZE, bucket.position(rank));
      return;
    }
    const dense = added >= DENSE_FROM;
    const offsets = dense ? undefined : new Uint16Array(added);
    const positions = new Float64Array(dense ? PAGE_SIZE : added);
    for (let i = 0; i < added; i++) {
      const offset = bucket.suffix(from + i) % PAGE_SIZE;
      if (offsets !== undefined) offsets[i] = offset;
      positions[dense ? offset : i] = bucket.position(from + i);
    }
    this.offsets = offsets;
    this.positions = positions;
    this.count = added;
  }

  get(offset: number): number {
    if (this.offsets === undefined) return this.positions[offset]!;
    const rank = this.rank(this.offsets, offset);
    return rank < this.count && this.offsets[rank] === offset ? this.positions[rank]! : 0;
  }

  set(offset: number, position: number): void {
    const { offsets } = this;
    if (offsets === undefined) {
      if (this.positions[offset] === 0) this.count++;
      this.positions[offset] = position;
      return;
    }
    const rank = this.rank(offsets, offset);
    if (rank < this.count && offsets[rank] === offset) {
      this.positions[rank] = position;
    } else if (this.count === DENSE_FROM) {
      this.makeDense(offsets);
      this.set(offset, position);
    } else {
      this.insert(offsets, rank, offset, position);
    }
  }

  delete(offset: number): void {
    const { offsets } = this;
    if (offsets === undefined) {
      if (this.positions[offset] !== 0) this.count--;
      this.positions[offset] = 0;
      return;
    }
    const rank = this.rank(offsets, offset);
    if (rank >= this.count || offsets[rank] !== offset) return;
    offsets.copyWithin(rank, rank + 1, this.count);
    this.positions.copyWithin(rank, rank + 1, this.count);
    this.count--;
  }

  /** First offset ≥ `from` that is set, or -1. */
  next(from: number): number {
    if (this.offsets === undefined) {
      for (let offset = from; offset < PAGE_SIZE; offset++) if (this.positions[offset] !== 0) return offset;
      return -1;
    }
    const rank = this.rank(this.offsets, from);
    return rank < this.count ? this.offsets[rank]! : -1;
  }

  /** Last offset that is set, or -1. */
  last(): number {
    if (this.offsets !== undefined) return this.count === 0 ? -1 : this.offsets[this.count - 1]!;
    for (let offset = PAGE_SIZE - 1; offset >= 0; offset--) if (this.positions[offset] !== 0) return offset;
    return -1;
  }

  private rank(offsets: Uint16Array, offset: number): number {
    const { count } = this;
    if (count === 0 || offsets[count - 1]! < offset) return count;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private insert(offsets: Uint16Array, rank: number, offset: number, position: number): void {
    const { count } = this;
    if (count === offsets.length) {
      const capacity = Math.min(DENSE_FROM, count + (count >> 2) + 4);
      const grownOffsets = new Uint16Array(capacity);
      const grownPositions = new Float64Array(capacity);
      grownOffsets.set(offsets);
      grownPositions.set(this.positions);
      this.offsets = offsets = grownOffsets;
      this.positions = grownPositions;
    }
    if (rank < count) {
      offsets.copyWithin(rank + 1, rank, count);
      this.positions.copyWithin(rank + 1, rank, count);
    }
    offsets[rank] = offset;
    this.positions[rank] = position;
    this.count++;
  }

  private makeDense(offsets: Uint16Array): void {
    const dense = new Float64Array(PAGE_SIZE);
    for (let rank = 0; rank < this.count; rank++) dense[offsets[rank]!] = this.positions[rank]!;
    this.positions = dense;
    this.offsets = undefined;
  }
}
