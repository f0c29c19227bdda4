/**
 * References that keep nothing alive: what they point to may be packed away. In a record they exist only as a persistent id (`persistent/src/persistent/wref.py`).
 */
import { inspect } from 'node:util';
import { InvalidArgumentError, POSKeyError } from '../errors';
import { formatOid, type Oid } from '../ids';
import { modelFor } from './guard';
import type { Jar } from './interfaces';
import { recordOf } from './stamp';

/** What a weak reference points to: an object that may have no oid yet, or an oid somewhere. */
interface Target {
  readonly object: object | undefined;
  readonly oid: Oid | undefined;
  readonly jar: Jar | undefined;
  readonly database: string | undefined;
}

/** Tells the constructor that a reference comes from a record. */
class StoredTarget {
  constructor(
    readonly jar: Jar,
    readonly oid: Oid,
    readonly database: string | undefined,
  ) {}
}

/**
 * A weak reference to a persistent object, itself a plain value inside the object that holds it. Storing one stores its target too if that is new, but does not keep it from being packed away
 * later.
 */
export class WeakRef<T extends object = object> {
  #target: Target;

  /** @throws InvalidArgumentError when the target is not persistent */
  constructor(target: T) {
    if (target instanceof StoredTarget) {
      this.#target = { object: undefined, oid: target.oid, jar: target.jar, database: target.database };
      return;
    }
    if (recordOf(target) === undefined && modelFor(target) === undefined) {
      throw new InvalidArgumentError('Only a persistent object can be the target of a WeakRef.');
    }
    this.#target = { object: target, oid: undefined, jar: undefined, database: undefined };
  }

  /**
   * The reference that a record holds.
   * @internal
   */
  static stored(jar: Jar, oid: Oid, database: string | undefined): WeakRef {
    return new WeakRef(new StoredTarget(jar, oid, database));
  }

  /** The object, loaded; `undefined` when it does not exist any more. */
  deref(): T | undefined {
    const { object, oid, jar, database } = this.#target;
    if (object !== undefined) return object as T;
    try {
      return (database === undefined ? jar! : jar!.sibling(database)).cache.get(oid!) as T;
    } catch (error) {
      if (error instanceof POSKeyError && error.oid === oid) return undefined;
      throw error;
    }
  }

  /** The target's oid; `undefined` for one that was never stored or added. */
  get oid(): Oid | undefined {
    return this.#target.object === undefined ? this.#target.oid : recordOf(this.#target.object)?.oid;
  }

  /** Name of the target's database when it is another one. */
  get database(): string | undefined {
    return this.#target.database;
  }

  /** Whether both point to the same object. */
  equals(other: WeakRef): boolean {
    const mine = this.#target;
    const theirs = other.#target;
    if (mine.object !== undefined && mine.object === theirs.object) return true;
    return this.oid !== undefined && this.oid === other.oid && this.database === other.database;
  }

  /**
   * The target, if this reference was made from an object in this process.
   * @internal
   */
  get made(): object | undefined {
    return this.#target.object;
  }

  toJSON(): unknown {
    return { $weakref: this.oid === undefined ? null : formatOid(this.oid) };
  }

  [inspect.custom](): string {
    return `<WeakRef to ${this.oid === undefined ? 'a new object' : formatOid(this.oid)}>`;
  }
}
