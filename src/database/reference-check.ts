import { DanglingReferenceError } from '../errors';
import { formatOid, type Oid } from '../ids';
import type { ObjectCache } from '../persistence/index';
import { readStructure } from '../record/index';
import type { StorageInstance } from '../storage/index';
import type { Overlay } from './overlay';

/** A record about to be committed. */
export interface Referrer {
  readonly oid: Oid;
  readonly className: string;
  readonly data: Uint8Array;
  readonly references: readonly Oid[];
}

interface Parts {
  readonly storage: StorageInstance;
  readonly cache: ObjectCache;
  readonly overlay: Overlay;
}

/**
 * Refuses to commit a strong reference to an object that does not exist: one that a pack removed while the program
 * still held it, or that never was.
 *
 * What a snapshot shows exists in it, and goes on existing unless a pack or a deletion removes it. So as long as the
 * storage's count of removals has not moved since everything in memory was read, only objects that are not loaded
 * are in doubt; when it has, every reference of the transaction is.
 */
export class ReferenceCheck {
  readonly #parts: Parts;
  /** The storage's count of removals when everything in memory was known to exist. */
  #cleanAt: number | undefined;
  #doubtful: Referrer[] = [];
  /** Whether every reference of this commit is in doubt; not looked up before there is a reference. */
  #all: boolean | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * A new snapshot begins. True when objects were removed since the last one: what is in memory may be gone, and must
   * be read again.
   */
  removedSince(): boolean {
    const now = this.#parts.storage.removals?.();
    const before = this.#cleanAt;
    this.#cleanAt = now;
    return before !== undefined && now !== before;
  }

  /** A commit begins: the storage is locked, so that nothing is removed until its end. */
  begin(): void {
    if (this.#doubtful.length > 0) this.#doubtful = [];
    this.#all = undefined;
  }

  /**
   * Whether one of the references of a record is in doubt: then the record is to be {@link note}d.
   * @param toGhosts whether one of them may be to an object that is not loaded
   */
  doubts(references: readonly Oid[], toGhosts: boolean): boolean {
    this.#all ??= this.#parts.storage.removals?.() !== this.#cleanAt;
    if (this.#all) return true;
    if (!toGhosts) return false;
    for (const oid of references) if (this.#inDoubt(oid)) return true;
    return false;
  }

  /** A record was stored with references that are in doubt. */
  note(referrer: Referrer): void {
    this.#doubtful.push(referrer);
  }

  /**
   * These records are stored, through `storage`: throws {@link DanglingReferenceError} when one refers to what does not
   * exist.
   */
  verify(storage: StorageInstance, oids: readonly Oid[]): void {
    const doubtful = this.#doubtful;
    if (doubtful.length === 0) return;
    this.#doubtful = [];
    const { overlay } = this.#parts;
    const stored = new Set(oids);
    const targets = new Set<Oid>();
    for (const { references } of doubtful) {
      for (const oid of references) {
        if (!stored.has(oid) && !overlay.has(oid) && (this.#all || this.#inDoubt(oid))) targets.add(oid);
      }
    }
    if (targets.size === 0) return;
    const missing = new Set(storage.missing([...targets]));
    for (const referrer of doubtful) {
      const target = referrer.references.find((oid) => missing.has(oid));
      if (target !== undefined) throw dangling(referrer, target);
    }
  }

  #inDoubt(oid: Oid): boolean {
    return this.#parts.cache.isGhost(oid);
  }
}

function dangling({ oid, className, data }: Referrer, target: Oid): DanglingReferenceError {
  const path = pathTo(readStructure(data).state, target, className) ?? className;
  return new DanglingReferenceError(
    `${path} refers to ${formatOid(target)}, which does not exist: it was removed by a pack or a deletion, or never ` +
      `stored (referring object: ${formatOid(oid)}). Make a new object, or remove the reference.`,
    oid,
    target,
  );
}

/** Where in a state the reference stands: `bank.Account.friends[3]`. */
function pathTo(value: unknown, target: Oid, path: string): string | undefined {
  const seen = new Set<unknown>();
  const search = (at: unknown, here: string): string | undefined => {
    if (typeof at !== 'object' || at === null || seen.has(at)) return undefined;
    seen.add(at);
    if ('kind' in at && at.kind === 'strong' && 'oid' in at) return at.oid === target ? here : undefined;
    const entries: Iterable<[string, unknown]> =
      at instanceof Map
        ? Array.from(at, ([key, item]) => [`.get(${JSON.stringify(key) ?? '…'})`, item])
        : at instanceof Set
          ? Array.from(at, (item) => ['{…}', item])
          : Array.isArray(at)
            ? at.map((item, index) => [`[${index}]`, item])
            : Object.entries(at).map(([key, item]) => [`.${key}`, item]);
    for (const [step, item] of entries) {
      const found = search(item, here + step);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(value, path);
}
