import { CorruptionError } from '../../errors';
import { readFully, type FileSystem } from './file-system';

/** Bytes of a block. */
const BLOCK = 1 << 14;
const BLOCK_SHIFT = 14;
/** Blocks that are read in one call when reading goes forward. */
const RUN = 16;

/** What is read of a block that is touched for the first time. */
const GLANCE = 2048;

/** A block is read as a whole when it is touched this often. */
const PATIENCE = 6;

/** What {@link BlockCache} holds by default: 64 MiB. */
export const DEFAULT_CACHE_BYTES = 64 << 20;

/**
 * Reads an append-only file through blocks that stay in memory, so that a record is looked at where it lies: no system
 * call and no copy, unless it crosses the end of a block.
 *
 * Of a file that the cache can't hold, a block is read as a whole only when it is touched often; before that, only what is needed is
 * read, into memory that is used again. So lone loads cost one short read and make no garbage.
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
  /** The cache can hold the whole file: then it is read in large pieces, wherever it is touched. */
  readonly #fits: boolean;
  readonly #glance = Buffer.allocUnsafeSlow(GLANCE);
  #glanceStart = 0;
  #glanceFilled = 0;
  #lastMiss = -2;
  #size: number;
  /** After {@link find}: the buffer that holds what was asked for. */
  block: Buffer = Buffer.alloc(0);

  /** @param size bytes of the file that are committed: nothing behind them is ever read */
  constructor(system: FileSystem, fd: number, name: string, size: number, cacheBytes = DEFAULT_CACHE_BYTES) {
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
    this.#fits = size <= slots * BLOCK;
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
    const isCached = this.#numbers[slot] === number && this.#filled[slot]! >= offset + length;
    if (isCached && offset + length <= BLOCK) {
      this.block = this.#blocks[slot]!;
      return offset;
    }
    const inGlance = position - this.#glanceStart;
    if (inGlance >= 0 && inGlance + length <= this.#glanceFilled) {
      this.block = this.#glance;
      return inGlance;
    }
    if (length <= GLANCE && this.#isPassing(number, slot)) return this.#look(position);
    if (offset + length > BLOCK) {
      this.block = this.#join(position, length);
      return 0;
    }
    this.#read(number);
    this.block = this.#blocks[slot]!;
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

  #look(position: number): number {
    this.#glanceFilled = 0;
    this.#glanceFilled = Math.min(GLANCE, this.#size - position);
    this.#readInto(this.#glance, 0, this.#glanceFilled, position);
    this.#glanceStart = position;
    this.block = this.#glance;
    return 0;
  }

  /** `length` bytes at `position`, to keep. Throws as {@link find}. */
  bytes(position: number, length: number): Buffer {
    const offset = this.find(position, length);
    const view = this.block.subarray(offset, offset + length);
    return this.block === this.#glance ? Buffer.from(view) : view;
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
