/**
 * Which plain values of a cache's objects the program may hold, and whether they are still as they were.
 */
import { readyBit } from './accessors';
import { isManaged } from './classes';
import { areAsCopied, copiesOf, INSIDE, type Copy, type Watch } from './exposure';
import { StaleValueError } from './errors';
import { followInside } from './following';
import { ownerOf, setOwner } from './ownership';
import { seal, type DropReason } from './sealing';
import { recordOf, Status, type ObjectRecord } from './stamp';

/** So many exposed objects are watched across a transaction boundary. */
const WATCH_LIMIT = 1000;
/** So many bytes of dropped states are watched. */
const STALE_BYTES_LIMIT = 1000;

type OnChange = (object: object, record: ObjectRecord) => void;

/** For a value whose object is going to be saved: there is nothing to compare it with yet. */
const NO_COPIES: readonly Copy[] = [];

export class Exposures {
  readonly #onChange: OnChange;
  #objects: object[] = [];
  /** Watched values inside managed collections, for look-up. */
  readonly #inside = new WeakMap<ObjectRecord, Set<object>>();
  /** Bytes whose state is gone: they can't be sealed, so a change is noticed late, but not never. */
  #staleBytes: { readonly bytes: WeakRef<Uint8Array>; readonly copy: Uint8Array }[] = [];

  constructor(onChange: OnChange) {
    this.#onChange = onChange;
  }

  get count(): number {
    let count = 0;
    for (const object of this.#objects) if (recordOf(object)?.watch !== undefined) count += 1;
    return count;
  }

  /** The program gets hold of a value that it did not have. Returns what it is to get: a tuple with references is made anew when they are followed. */
  expose(object: object, record: ObjectRecord, slot: number, value: object): object {
    let seen = value;
    let copies: readonly Copy[] | undefined = copiesOf(value);
    if (copies === undefined) {
      seen = followInside(record.cache!, record, value, object, slot);
      copies = copiesOf(seen) ?? NO_COPIES;
    }
    if (record.status === Status.saved) own(record, copies);
    else copies = NO_COPIES;
    this.#note(object, record, { slot, value: seen, copies });
    return seen;
  }

  /** Whether a value is watched already. */
  isOut(record: ObjectRecord, slot: number, value: object): boolean {
    if (record.watch === undefined) return false;
    if (slot === INSIDE) return this.#inside.get(record)?.has(value) ?? false;
    return record.watch.some((entry) => entry.slot === slot && entry.value === value);
  }

  /** A value is put into a field. */
  assigned(object: object, record: ObjectRecord, slot: number, value: object): void {
    if (slot !== INSIDE || !this.isOut(record, slot, value))
      this.#note(object, record, { slot, value, copies: NO_COPIES });
    record.ready |= readyBit(slot);
  }

  /** Whether all that is watched of an object is as it was. */
  isClean(record: ObjectRecord): boolean {
    const watch = record.watch;
    if (watch === undefined) return true;
    for (const { copies } of watch) if (!areAsCopied(copies)) return false;
    return true;
  }

  /** Marks what was changed inside as changed. Throws what the jar throws when it takes no changes; then they are dropped, not kept for ever. */
  flush(): void {
    const objects = this.#objects;
    for (let i = 0; i < objects.length; i++) {
      const record = recordOf(objects[i]!)!;
      if (record.status === Status.saved && !this.isClean(record)) this.#onChange(objects[i]!, record);
    }
    if (this.#staleBytes.length > 0) this.#checkStaleBytes();
  }

  /** The objects that {@link flush} would mark, without marking them: for abort. */
  takeChanged(): object[] {
    return this.#objects.filter((object) => {
      const record = recordOf(object)!;
      return record.status === Status.saved && !this.isClean(record);
    });
  }

  /** An object was saved: compare from here. */
  settle(object: object, record: ObjectRecord): void {
    const watch = record.watch;
    if (watch === undefined) return;
    const held = isManaged(object) ? object.heldValues() : undefined;
    const inside = held && new Set<unknown>(held);
    const kept: Watch[] = [];
    for (const { slot, value } of watch) {
      const stays = slot === INSIDE ? (inside?.has(value) ?? true) : record.state[slot] === value;
      if (!stays) continue;
      const copies = copiesOf(value) ?? NO_COPIES;
      own(record, copies);
      kept.push({ slot, value, copies });
    }
    record.watch = kept.length > 0 ? kept : undefined;
    if (this.#inside.has(record)) {
      this.#inside.set(record, new Set(kept.filter(({ slot }) => slot === INSIDE).map(({ value }) => value)));
    }
  }

  /** Forgets the watched values of an object that leaves the cache. */
  forget(record: ObjectRecord): void {
    record.watch = undefined;
  }

  /**
   * Keeps the number of watched objects bounded; returns those to be dropped. An object read since the last call counts as young.
   */
  trim(bound: number): object[] {
    const limit = Math.min(WATCH_LIMIT, bound);
    const watched = [...new Set(this.#objects)].filter((object) => recordOf(object)?.watch !== undefined);
    if (watched.length === 0) {
      this.#objects = watched;
      return watched;
    }
    const unread = watched.filter((object) => recordOf(object)!.ready === 0);
    const read = watched.filter((object) => recordOf(object)!.ready !== 0);
    this.#objects = [...unread, ...read];
    for (const object of read) recordOf(object)!.ready = 0;
    const excess = this.#objects.length - limit;
    return excess > 0 ? this.#objects.slice(0, excess) : [];
  }

  /** The state of an object goes. */
  seal(record: ObjectRecord, reason: DropReason): void {
    const watch = record.watch;
    if (watch === undefined) return;
    record.watch = undefined;
    for (const { value } of watch) {
      seal(value, reason, (bytes) => {
        this.#staleBytes.push({ bytes: new WeakRef(bytes), copy: bytes.slice() });
      });
    }
    if (this.#staleBytes.length > STALE_BYTES_LIMIT)
      this.#staleBytes = this.#staleBytes.slice(-STALE_BYTES_LIMIT);
  }

  clear(): void {
    this.#objects = [];
    this.#staleBytes = [];
  }

  #note(object: object, record: ObjectRecord, entry: Watch): void {
    const watch = record.watch;
    if (entry.slot === INSIDE) this.#noteInside(record, entry.value);
    if (watch === undefined) {
      record.watch = [entry];
      this.#objects.push(object);
      return;
    }
    if (entry.slot === INSIDE) {
      watch.push(entry);
      return;
    }
    const at = watch.findIndex((other) => other.slot === entry.slot);
    if (at < 0) watch.push(entry);
    else watch[at] = entry;
  }

  #noteInside(record: ObjectRecord, value: object): void {
    const inside = record.watch === undefined ? undefined : this.#inside.get(record);
    if (inside === undefined) this.#inside.set(record, new Set([value]));
    else inside.add(value);
  }

  #checkStaleBytes(): void {
    this.#staleBytes = this.#staleBytes.filter(({ bytes, copy }) => {
      const current = bytes.deref();
      if (current === undefined) return false;
      if (Buffer.compare(current, copy) === 0) return true;
      copy.set(current);
      throw new StaleValueError(
        `${String(current.length)} bytes that were read from an object were written after the object's state was dropped; the change is not saved. Read the bytes again from the object before writing to them.`,
        'dropped',
      );
    });
  }
}

function own(record: ObjectRecord, copies: readonly Copy[]): void {
  for (const { source } of copies) if (ownerOf(source) === undefined) setOwner(source, record);
}
