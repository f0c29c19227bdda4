/**
 * Which loaded objects stay. No bookkeeping runs on a read: the oldest are set aside (*probation*), which makes their next touch take the slow path and puts them back;
 * what nobody touched until the next round is dropped.
 */
import type { Budget } from './budget';
import { Queue } from './queue';
import { Place, Status, type ObjectRecord } from './stamp';

/** Estimated bytes of a loaded object beside its values, and for each byte of its record. Measured (`bench/objects.ts`). */
const OBJECT_BYTES = 220;
const RECORD_FACTOR = 2;

/** From so many superfluous entries on the line is tidied. */
const TIDY_FROM = 2000;

/** What eviction needs of the cache. */
export interface EvictionHost {
  recordOf(object: object): ObjectRecord;
  /** Whether an object is (still) of this cache. */
  owns(record: ObjectRecord): boolean;
  /** Records that must keep their states for now. */
  readonly pinned: readonly ObjectRecord[];
  /** Sets a state aside. */
  setAside(object: object, record: ObjectRecord): void;
  /** Drops a state. */
  drop(object: object, record: ObjectRecord): void;
}

/** Estimated bytes of an object in memory. */
export function estimatedBytes(record: ObjectRecord): number {
  return OBJECT_BYTES + RECORD_FACTOR * record.size;
}

/** The line of loaded objects of one cache. */
export class Eviction {
  targetCount: number;
  /** Objects loaded: in line or on probation. */
  count = 0;
  /** Their estimated bytes. */
  bytes = 0;
  /** States dropped since the cache was made. */
  dropped = 0;
  #quietUntil = 0;
  readonly #host: EvictionHost;
  readonly #budget: Budget | undefined;
  readonly #line = new Queue<object>();
  readonly #probation = new Queue<object>();

  constructor(host: EvictionHost, targetCount: number, budget: Budget | undefined) {
    this.#host = host;
    this.targetCount = targetCount;
    this.#budget = budget;
  }

  get onProbation(): number {
    return this.#probation.length;
  }

  /** An object's state came into memory. */
  loaded(object: object, record: ObjectRecord): void {
    if ((record.place & (Place.counted | Place.loose)) !== 0) return;
    record.place |= Place.counted;
    this.count += 1;
    this.#account(estimatedBytes(record));
    this.enqueue(object, record);
  }

  /** As {@link resized} and {@link loaded}, in one go: every object of a commit comes here. */
  stored(object: object, record: ObjectRecord, size: number): void {
    let bytes = RECORD_FACTOR * (size - record.size);
    record.size = size;
    if ((record.place & Place.counted) === 0) {
      record.place |= Place.counted;
      this.count += 1;
      bytes = OBJECT_BYTES + RECORD_FACTOR * size;
    }
    if (bytes !== 0) this.#account(bytes);
    if ((record.place & Place.queue) !== 0) return;
    record.place |= Place.line;
    this.#line.push(object);
  }

  /** An object's state left memory. Its place in the queues, if any, is skipped later. */
  unloaded(record: ObjectRecord): void {
    if ((record.place & Place.counted) === 0) return;
    record.place &= ~Place.counted;
    this.count -= 1;
    this.#account(-estimatedBytes(record));
  }

  /** The record of a loaded object has another length now. */
  resized(record: ObjectRecord, size: number): void {
    if (record.size === size) return;
    if ((record.place & Place.counted) === 0) {
      record.size = size;
      return;
    }
    const before = estimatedBytes(record);
    record.size = size;
    this.#account(estimatedBytes(record) - before);
  }

  /** Puts an object at the end of the line unless it stands somewhere. */
  enqueue(object: object, record: ObjectRecord): void {
    if ((record.place & Place.queue) !== 0) return;
    record.place |= Place.line;
    this.#line.push(object);
    if (this.#line.length > 2 * this.count + TIDY_FROM) this.#tidy();
  }

  /** States that were dropped otherwise (abort, invalidation) leave their objects in line: they must not stay for ever. */
  #tidy(): void {
    this.#line.retain((object) => {
      const record = this.#host.recordOf(object);
      if (!this.#host.owns(record)) return false;
      if ((record.place & Place.counted) !== 0) return true;
      record.place &= ~Place.queue;
      return false;
    });
  }

  /** Whether a load inside a transaction should make room: with slack, so that rounds are rare even when nothing can go. */
  get crowded(): boolean {
    return this.count > this.targetCount + this.#slack && this.count > this.#quietUntil;
  }

  /** One round, if there is too much: drops what stayed on probation while there is too much, then sets the next ones aside. */
  round(): void {
    if (!this.#tooMuch) {
      this.#quietUntil = 0;
      return;
    }
    for (let left = this.#probation.length; left > 0; left--) {
      const object = this.#probation.shift()!;
      const record = this.#host.recordOf(object);
      if (!this.#host.owns(record)) continue;
      record.place &= ~Place.queue;
      if (record.status !== Status.probation) {
        if (record.status !== Status.ghost) this.enqueue(object, record);
      } else if (this.#tooMuch && !this.#host.pinned.includes(record)) {
        this.dropped += 1;
        this.#host.drop(object, record);
      } else {
        record.place |= Place.probation;
        this.#probation.push(object);
      }
    }
    if (this.#tooMuch) this.#setAside(Math.max(this.count - this.targetCount, 0) + this.#slack);
    this.#quietUntil = this.count + this.#slack;
  }

  /** Asks the budget to have room made, when it is exceeded. */
  relieveBudget(): void {
    this.#budget?.relieve();
  }

  clear(): void {
    // Not of nothing: minus 0 would turn the sum into a float, and V8 forget all code that was compiled for whole numbers.
    if (this.bytes > 0) this.#account(-this.bytes);
    this.count = 0;
    this.#line.clear();
    this.#probation.clear();
  }

  get #tooMuch(): boolean {
    return this.count > this.targetCount || (this.#budget?.exceeded ?? false);
  }

  get #slack(): number {
    return Math.max(64, this.targetCount >> 3);
  }

  /** Sets the oldest aside that are clean and of which no plain value is out. */
  #setAside(wanted: number): void {
    for (let left = this.#line.length; left > 0 && wanted > 0; left--) {
      const object = this.#line.shift()!;
      const record = this.#host.recordOf(object);
      if (!this.#host.owns(record)) continue;
      record.place &= ~Place.queue;
      if (record.status === Status.ghost || record.status === Status.unsaved) continue;
      if (
        record.status !== Status.saved ||
        record.watch !== undefined ||
        this.#host.pinned.includes(record)
      ) {
        this.enqueue(object, record);
        continue;
      }
      wanted -= 1;
      record.place |= Place.probation;
      this.#probation.push(object);
      this.#host.setAside(object, record);
    }
  }

  #account(bytes: number): void {
    this.bytes += bytes;
    this.#budget?.account(bytes);
  }
}
