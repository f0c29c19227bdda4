import { CorruptionError } from '../../errors';
import { readFully, type FileSystem } from './file-system';

/** Bytes of a block. */
const BLOCK = 1 << 14;
const BLOCK_SHIFT = 14;
/** Blocks that are read in one call when reading goes forward. */
const RUN = 16;

/** What is read of a block that is touched for the first time: most records are no longer. */
const GLANCE = 1024;

/** Such reads go into pieces of memory of this size, one behind the other. */
const SLAB = 1 << 14;

/** A block is read as a whole when it is touched this often. */
const PATIENCE = 6;

/** What {@link BlockCache} holds by default: 64 MiB. */
export const DEFAULT_CACHE_BYTES = 64 << 20;

/**
 * Reads an append-only file through blocks that stay in memory, so that a record is looked at where it lies: no system
 * call and no copy, unless it crosses the end of a block.
 *
 * Of a file that the cache can't hold, a block is read as a whole only when it is touched often; before that, only what is needed is
 * read. So a lone load costs one short read, and no more memory than its record.
 *
 * A block has one slot it can be in (its number modulo the number of slots), so finding it is one comparison, and nothing is
 * kept in order. Views of a block may outlive its stay in the cache: blocks are never written to again, only replaced.
 */
export class BlockCache {
  readonly #system: FileSystem;
  readonly #fd: number;
  readonly #name: string;
  readonly #mask: number;
  /** Number of the block in each slot, or -1. */
  readonly #numbers: Float64Array;
  readonly #blocks: (Buffer | undefined)[];
  /** How many bytes of the block had been committed when it was read. */
  readonly #filled: Int32Array;
  /** The block of each slot that was touched last without being read as a whole, and how often it was. */
  readonly #touched: Float64Array;
  readonly #touches: Uint8Array;
  /** Memory of blocks is used again: what was given is good until the next call. */
  readonly #passing: boolean;
  /** The cache can hold the whole file: then it is read in large pieces, wherever it is touched. */
  readonly #fits: boolean;
  /** Where glances go; what is before `#slabUsed` was given away by {@link bytes}. */
  #slab: Buffer = Buffer.alloc(0);
  #slabUsed = 0;
  /** The last glance: where it is in the slab and in the file. */
  #glance = 0;
  #glanceStart = 0;
  #glanceFilled = 0;
  #lastMiss = -2;
  #size: number;
  /** After {@link find}: the buffer that holds what was asked for, and where what is known in it ends. */
  block: Buffer = Buffer.alloc(0);
  #blockEnd = 0;

  /**
   * @param size bytes of the file that are committed: nothing behind them is ever read
   * @param passing for one who keeps nothing of what it is given, not even until the next call: makes next to no garbage
   */
  constructor(
    system: FileSystem,
    fd: number,
    name: string,
    size: number,
    cacheBytes = DEFAULT_CACHE_BYTES,
    passing = false,
  ) {
    this.#passing = passing;
    const wanted = Math.max(RUN, Math.floor(cacheBytes / BLOCK));
    const slots = 1 << Math.floor(Math.log2(wanted));
    this.#system = system;
    this.#fd = fd;
    this.#name = name;
    this.#size = size;
    this.#mask = slots - 1;
    this.#numbers = new Float64Array(slots).fill(-1);
    this.#filled = new Int32Array(slots);
    this.#touched = new Float64Array(slots).fill(-1);
    this.#touches = new Uint8Array(slots);
    this.#fits = !passing && size <= slots * BLOCK;
    this.#blocks = [];
    for (let slot = 0; slot < slots; slot++) this.#blocks.push(undefined);
  }

  /** Bytes that may be read. */
  get size(): number {
    return this.#size;
  }

  /** More was committed. */
  grow(size: number): void {
    this.#size = size;
  }

  /**
   * Makes `length` bytes at `position` available until the next call: in {@link block}, from the returned offset on. Throws
   * `CorruptionError` when the file has not that many: a pointer to there is wrong.
   */
  find(position: number, length: number): number {
    const end = position + length;
    if (!(end <= this.#size)) this.#beyondEnd(position, length);
    const number = Math.floor(position / BLOCK);
    const offset = position - number * BLOCK;
    const slot = number & this.#mask;
    // A block never holds more than BLOCK bytes.
    if (this.#numbers[slot] === number && this.#filled[slot]! >= offset + length) {
      this.block = this.#blocks[slot]!;
      this.#blockEnd = this.#filled[slot]!;
      return offset;
    }
    const inGlance = position - this.#glanceStart;
    if (inGlance >= 0 && inGlance + length <= this.#glanceFilled) {
      this.block = this.#slab;
      this.#blockEnd = this.#glance + this.#glanceFilled;
      return this.#glance + inGlance;
    }
    if (this.#isPassing(number, slot)) return this.#look(position, length);
    if (offset + length > BLOCK) {
      this.block = this.#join(position, length);
      this.#blockEnd = length;
      return 0;
    }
    this.#read(number);
    this.block = this.#blocks[slot]!;
    this.#blockEnd = this.#filled[slot]!;
    return offset;
  }

  /** Counts how often a block was touched; true while it is not worth reading as a whole. */
  #isPassing(number: number, slot: number): boolean {
    if (this.#fits || this.#numbers[slot] === number || number === this.#lastMiss + 1) return false;
    if (this.#touched[slot] !== number) {
      this.#touched[slot] = number;
      this.#touches[slot] = 0;
    }
    return ++this.#touches[slot]! < PATIENCE;
  }

  #look(position: number, length: number): number {
    if (length > GLANCE) {
      this.block = Buffer.allocUnsafeSlow(length);
      this.#blockEnd = length;
      this.#readInto(this.block, 0, length, position);
      return 0;
    }
    if (this.#slab.length - this.#slabUsed < GLANCE) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB);
      this.#slabUsed = 0;
    }
    const count = Math.min(GLANCE, this.#size - position);
    this.#glanceFilled = 0;
    this.#readInto(this.#slab, this.#slabUsed, count, position);
    this.#glance = this.#slabUsed;
    this.#glanceStart = position;
    this.#glanceFilled = count;
    this.block = this.#slab;
    this.#blockEnd = this.#glance + count;
    return this.#glance;
  }

  /** `length` bytes at `position`, to keep (unless made for passing). Throws as {@link find}. */
  bytes(position: number, length: number): Buffer {
    return this.#keep(this.find(position, length), length);
  }

  /** As {@link bytes}, for what comes at `offset` of {@link block} after what {@link find} was just asked for. */
  following(offset: number, length: number, position: number): Buffer {
    return offset + length <= this.#blockEnd ? this.#keep(offset, length) : this.bytes(position, length);
  }

  #keep(offset: number, length: number): Buffer {
    const end = offset + length;
    if (this.block === this.#slab && end > this.#slabUsed && !this.#passing) this.#slabUsed = end;
    return this.block.subarray(offset, end);
  }

  /** Bytes across blocks, as a copy; blocks that are not in memory are read for this only. */
  #join(position: number, length: number): Buffer {
    const joined = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const at = position + done;
      const number = Math.floor(at / BLOCK);
      const offset = at - number * BLOCK;
      const slot = number & this.#mask;
      const count = Math.min(BLOCK - offset, length - done);
      const cached = this.#numbers[slot] === number && this.#filled[slot]! >= offset + count;
      if (!cached && length > RUN * BLOCK) {
        this.#readInto(joined, done, length - done, at);
        break;
      }
      if (!cached) this.#read(number);
      this.#blocks[slot]!.copy(joined, done, offset, offset + count);
      done += count;
    }
    return joined;
  }

  #read(wanted: number): void {
    if (this.#passing) {
      this.#readAgain(wanted);
      return;
    }
    // Reading forward brings the next blocks along.
    // The last block is read again when the file has grown: that one alone.
    const isStale = this.#numbers[wanted & this.#mask] === wanted;
    const isRun = !isStale && (this.#fits || wanted === this.#lastMiss + 1);
    const number = this.#fits && isRun ? wanted - (wanted % RUN) : wanted;
    const start = number * BLOCK;
    const length = Math.min(this.#size - start, isRun ? RUN * BLOCK : BLOCK);
    const run = Buffer.allocUnsafeSlow(length);
    this.#readInto(run, 0, length, start);
    for (let done = 0; done < length; done += BLOCK) {
      const slot = (number + (done >> BLOCK_SHIFT)) & this.#mask;
      const filled = Math.min(BLOCK, length - done);
      this.#numbers[slot] = number + (done >> BLOCK_SHIFT);
      this.#filled[slot] = filled;
      this.#blocks[slot] = length === filled ? run : run.subarray(done, done + filled);
    }
    this.#lastMiss = number + ((length - 1) >> BLOCK_SHIFT);
  }

  #readAgain(number: number): void {
    const slot = number & this.#mask;
    const start = number * BLOCK;
    const length = Math.min(this.#size - start, BLOCK);
    this.#numbers[slot] = -1;
    this.#readInto((this.#blocks[slot] ??= Buffer.allocUnsafeSlow(BLOCK)), 0, length, start);
    this.#numbers[slot] = number;
    this.#filled[slot] = length;
  }

  #readInto(target: Buffer, offset: number, length: number, position: number): void {
    const count = readFully(this.#system, this.#fd, target, offset, length, position);
    if (count < length) this.#beyondEnd(position + count, length - count);
  }

  #beyondEnd(position: number, length: number): never {
    throw new CorruptionError(
      `${this.#name} is damaged: ${length} bytes are needed at ${position}, but the file ends at ${this.#size}. ` +
        'Check it with "zodb check", and copy what is whole with "zodb recover".',
    );
  }
}
