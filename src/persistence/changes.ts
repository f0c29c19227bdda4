/** What a transaction did to the objects of one cache: lists, and nothing of what they mean. */
import { InvalidArgumentError } from '../errors';
import type { Oid } from '../ids';
import { objectList } from '../specimens';
import type { CacheSavepoint } from './interfaces';
import type { ObjectRecord } from './stamp';

interface Mark extends CacheSavepoint {
  readonly created: number;
  readonly overlay: number;
}

/** See the head of the file. One a cache. */
export class Changes {
  /** Objects changed or added since the last commit, abort or savepoint. */
  changed = objectList<object>();
  /** Serialized by the commit or savepoint under way, what is known of them, and how long their records are. */
  stored = objectList<object>();
  records = objectList<ObjectRecord>();
  sizes: number[] = [];
  /** Objects given an oid since the last commit or abort, in order. */
  created: Oid[] = [];
  /** Oids stored at savepoints of this transaction, in order. */
  overlay: Oid[] = [];
  /** What was {@link changed} when the commit or savepoint under way began. */
  #storing = objectList<object>();
  /** Changed while a commit was under way that had written them already, or that they are no part of. */
  #late = objectList<object>();
  #savepoints: Mark[] = [];
  #sequence = 0;

  get any(): boolean {
    return this.changed.length > 0 || this.overlay.length > 0;
  }

  get anyLate(): boolean {
    return this.#late.length > 0;
  }

  /** A commit or savepoint takes what is changed, and begins to write it. */
  beginStoring(): readonly object[] {
    if (this.stored.length > 0) this.#forgetStored();
    this.#storing = this.changed;
    this.changed = objectList();
    return this.#storing;
  }

  written(object: object, record: ObjectRecord, size: number): void {
    this.stored.push(object);
    this.records.push(record);
    this.sizes.push(size);
  }

  #forgetStored(): void {
    this.stored = objectList();
    this.records = objectList();
    this.sizes = [];
  }

  /** Everything that is not, or not only, as the last commit left it; what is in the overlay aside. */
  all(): Set<object> {
    return new Set([...this.changed, ...this.#storing, ...this.stored, ...this.#late]);
  }

  /** Notes an object that was changed during a commit, and seen after it. */
  addLate(object: object): void {
    this.#late.push(object);
  }

  /** What was changed during a commit is part of the transaction that is now under way. */
  takeLate(): void {
    this.changed.push(...this.#late);
    this.#late = objectList();
  }

  /** Takes an object off the list of changed ones. */
  remove(object: object): void {
    for (const list of [this.changed, this.#storing, this.#late]) {
      const at = list.indexOf(object);
      if (at >= 0) list.splice(at, 1);
    }
  }

  /** The commit is done; what was changed meanwhile is left over. `isNew` tells of an object without a revision. */
  commit(isNew: (oid: Oid) => boolean): void {
    const late = this.changed;
    const created = late.length === 0 ? [] : this.created.filter(isNew);
    this.abort();
    this.#late = late;
    this.created = created;
  }

  /** Nothing is left. */
  abort(): void {
    this.changed = objectList();
    this.#forgetStored();
    this.created = [];
    this.overlay = [];
    this.#storing = objectList();
    this.#late = objectList();
    this.#savepoints = [];
  }

  /** A point to come back to. */
  savepoint(): CacheSavepoint {
    this.#storing = objectList();
    this.#forgetStored();
    const mark = {
      sequence: ++this.#sequence,
      created: this.created.length,
      overlay: this.overlay.length,
    };
    this.#savepoints.push(mark);
    return mark;
  }

  /** What was put into the overlay and created since that point; it is forgotten here. @throws InvalidArgumentError when the point is of another transaction */
  since({ sequence }: CacheSavepoint): { overlay: Oid[]; created: Oid[] } {
    const mark = this.#savepoints.find((known) => known.sequence === sequence);
    if (mark === undefined)
      throw new InvalidArgumentError('This savepoint is not of the transaction under way.');
    this.#savepoints = this.#savepoints.filter((known) => known.sequence <= sequence);
    return { overlay: this.overlay.splice(mark.overlay), created: this.created.splice(mark.created) };
  }

  /** What was changed since the last savepoint is taken back. */
  rollBack(): void {
    this.changed = objectList();
    this.#forgetStored();
    this.#storing = objectList();
    this.#late = objectList();
  }
}
