/** From live objects to records: a work list, so that depth costs no stack. */
import { InvalidObjectReference } from '../errors';
import { ROOT_OID, ZERO_TID, type Oid } from '../ids';
import { PicklingError } from '../pickle/index';
import { FieldList, RecordWriter, type ClassMeta, type Reference } from '../record/index';
import { adopt } from './adoption';
import { Broken } from './broken';
import type { ObjectCacheImpl } from './cache';
import { VERSION_KEY, type ClassModel } from './class-model';
import { classNameOf, isManaged, metaOfModel, requireModel } from './classes';
import { UnsavableValueError } from './errors';
import { modelFor } from './guard';
import type { SerializedObject } from './interfaces';
import type { Loader, StateForm } from './loading';
import { INSIDE, watchedValues } from './exposure';
import { ManagedContainer, type Managed } from './managed';
import { claim } from './ownership';
import { ofOtherCopy } from './other-copy';
import { placeOf } from './place';
import { ForeignRef, Ref } from './ref';
import { recordOf, Status, type ObjectRecord } from './stamp';
import { ensureLoaded } from './tracked';
import { Kind, kindOf } from './values';
import { ValueClasses } from './value-classes';
import { WeakRef } from './weak-ref';

interface WithGetState {
  __getstate__?: () => unknown;
}

/** Puts the records of one cache together. */
export class Saver {
  readonly #cache: ObjectCacheImpl;
  readonly #loader: Loader;
  readonly #values: ValueClasses;
  readonly #writer: RecordWriter;
  #queue: object[] = [];
  #next = 0;
  /** New objects that are or were in the queue. */
  #queued = new Set<object>();
  /** New objects that nobody added: they belong to the database that reached them first, and to one only. */
  readonly reached = new WeakSet<object>();
  #adopted = new WeakSet<object>();

  constructor(cache: ObjectCacheImpl, loader: Loader) {
    this.#cache = cache;
    this.#loader = loader;
    const values = (this.#values = new ValueClasses(cache.jar.registry));
    this.#writer = new RecordWriter({
      reference: (object) => this.#referenceTo(object),
      reduce: (object) => values.reduce(object),
    });
  }

  /** Begins with the objects known to be changed; those that they reach and that are new come behind. */
  start(changed: readonly object[]): void {
    this.#queue = [...changed];
    this.#queued = new Set();
    for (const object of changed) if (recordOf(object)!.serial === ZERO_TID) this.#queued.add(object);
    this.#next = 0;
  }

  next(): SerializedObject | undefined {
    const object = this.#queue[this.#next++];
    return object && this.#save(object);
  }

  finish(): void {
    this.#queue = [];
    this.#queued.clear();
    this.#next = 0;
    this.#values.refused = undefined;
  }

  /** Whether an object was converted in place. */
  isAdopted(object: object): boolean {
    return this.#adopted.has(object);
  }

  /** The class an object is stored as. */
  metaOf(object: object, record: ObjectRecord): ClassMeta {
    const known = this.#loader.metaOf(object);
    if (known !== undefined) return known;
    const own = record.state[0].model;
    const model = Object.getPrototypeOf(object) === own.prototype ? own : (modelFor(object)?.model ?? own);
    return metaOfModel(model, this.#cache.jar.registry);
  }

  #save(object: object): SerializedObject {
    const record = recordOf(object)!;
    const oid = record.oid!;
    const cls = this.metaOf(object, record);
    let data: Uint8Array;
    try {
      data = this.#write(object, record, cls);
    } catch (error) {
      if (error instanceof PicklingError)
        throw explained(error, placeOf(error, object, oid, cls), oid, this.#values.refused);
      throw error;
    }
    return {
      oid,
      serial: record.serial,
      data,
      references: this.#writer.references,
      className: cls,
      object,
      isNew: record.serial === 0n,
    };
  }

  #write(object: object, record: ObjectRecord, cls: ClassMeta): Uint8Array {
    ensureLoaded(object, record);
    if (record.state[0].model.ctor === Broken)
      return this.#writer.write(cls, (object as Broken).__getstate__());
    const model = requireModel(object, this.#cache.jar.registry);
    if (isManaged(object)) {
      this.#claimInside(object, record, cls);
      if (object instanceof ManagedContainer) return this.#writeContainer(object, record, cls, model);
      return this.#writer.write(cls, object.__getstate__());
    }
    if (adopt(object, record, model)) this.#adoptValues(object, record);
    const getState = (object as WithGetState).__getstate__;
    if (typeof getState === 'function') return this.#writer.write(cls, getState.call(object));
    this.#claimValues(object, record, cls);
    const layout = record.state[0];
    const values = layout.valuesOf(record.state);
    const version = model.options.version;
    const form = this.#loader.formOf(object);
    if (form !== undefined && version === undefined) {
      const state = inForm(form, layout.written.names, values);
      if (state !== undefined) return this.#writer.write(cls, state);
    }
    if (version === undefined) return this.#writer.writeFields(cls, layout.written, values);
    return this.#writer.writeFields(cls, layout.written.with(VERSION_KEY, 0), [...values, version]);
  }

  /** The data of a container, and the fields that a subclass added to it. */
  #writeContainer(
    object: ManagedContainer,
    record: ObjectRecord,
    cls: ClassMeta,
    model: ClassModel,
  ): Uint8Array {
    if (adopt(object, record, model)) this.#adoptValues(object, record);
    this.#claimValues(object, record, cls);
    const { written } = record.state[0];
    let fields = FieldList.empty.with('data', object.dataKind);
    for (let i = 0; i < written.length; i++) fields = fields.with(written.names[i]!, written.kinds[i]!);
    return this.#writer.writeFields(cls, fields, [
      object.getData(),
      ...record.state[0].valuesOf(record.state),
    ]);
  }

  /** Values inside a collection that belong to somebody else. */
  #claimInside(object: Managed, record: ObjectRecord, cls: ClassMeta): void {
    for (const { slot, source: value } of watchedValues(record)) {
      if (slot !== INSIDE) continue;
      const claimed = claim(value, record, () => cls.toString());
      if (claimed === value) continue;
      object.replaceValue(value, claimed);
      this.#cache.exposures.assigned(object, record, INSIDE, claimed);
    }
  }

  /** The program may hold what it put into a new object. */
  #adoptValues(object: object, record: ObjectRecord): void {
    this.#adopted.add(object);
    const state = record.state;
    for (let slot = 1; slot < state.length; slot++) {
      const value = state[slot];
      if (typeof value !== 'object' || value === null) continue;
      if (kindOf(value) <= Kind.instance) this.#cache.exposures.assigned(object, record, slot, value);
    }
  }

  #claimValues(object: object, record: ObjectRecord, cls: ClassMeta): void {
    for (const name of this.#cache.addedFields.deletedOf(object))
      record.state[0] = record.state[0].minus(name);
    if (record.watch === undefined) return;
    for (const { slot, source: value } of watchedValues(record)) {
      if (record.state[slot] !== value) continue;
      const claimed = claim(
        value,
        record,
        () => `${cls.toString()}.${record.state[0].model.nameOfSlot(slot) ?? '?'}`,
      );
      if (claimed === value) continue;
      record.state[slot] = claimed;
      this.#cache.exposures.assigned(object, record, slot, claimed);
    }
  }

  #referenceTo(object: object): Reference | undefined {
    if (object instanceof Ref || object instanceof ForeignRef) return object;
    if (object instanceof WeakRef) return this.#weakReferenceTo(object);
    const record = recordOf(object);
    if (record?.cache === undefined && modelFor(object) === undefined) return undefined;
    if (record?.cache !== undefined && record.cache !== this.#cache)
      return this.#foreignReferenceTo(object, record);
    const known = this.#known(object, record);
    return new Ref(known.oid!, this.#referenceClass(object, known));
  }

  /** The record of an object of this cache; a new object gets an oid, and its turn. */
  #known(object: object, record: ObjectRecord | undefined): ObjectRecord {
    if (record?.cache !== undefined) {
      if (record.serial === 0n && record.status === Status.changed) this.#enqueue(object);
      return record;
    }
    const made = this.#cache.adoptReached(object);
    this.reached.add(object);
    this.#enqueue(object);
    return made;
  }

  #enqueue(object: object): void {
    if (this.#queued.has(object)) return;
    this.#queued.add(object);
    this.#queue.push(object);
  }

  /** A reference to an object with arguments of `__new__` names no class. */
  #referenceClass(object: object, record: ObjectRecord): ClassMeta | undefined {
    const meta = this.metaOf(object, record);
    return meta.newargs === undefined || meta.newargs === null ? meta.bare : undefined;
  }

  #foreignReferenceTo(object: object, record: ObjectRecord): Reference {
    const jar = record.cache!.jar;
    const mine = this.#cache.jar;
    const name = classNameOf(modelFor(object)?.model ?? record.state[0].model, mine.registry);
    if (jar.databaseName === mine.databaseName) {
      throw new InvalidObjectReference(
        `A ${name} of another connection of this database can't be stored here; get it from this connection (connection.get(oid)).`,
      );
    }
    if (mine.crossReferences === false) {
      throw new InvalidObjectReference(
        `A ${name} of database ${jar.databaseName} is referred to, and this database forbids references to others (crossReferences: false).`,
      );
    }
    if (mine.sibling(jar.databaseName).cache !== record.cache) {
      throw new InvalidObjectReference(
        `A ${name} of database ${jar.databaseName} can be referred to only through this connection's own connection to that database (getConnection).`,
      );
    }
    if (record.serial === 0n && record.cache!.wasReached(object)) {
      throw new InvalidObjectReference(
        `A new ${name} is reachable from the databases ${jar.databaseName} and ${mine.databaseName}: say where it belongs with add() of the connection to that database.`,
      );
    }
    return new ForeignRef(jar.databaseName, record.oid!, this.#referenceClass(object, record));
  }

  #weakReferenceTo(ref: WeakRef): Reference {
    const made = ref.made;
    if (made === undefined) return { kind: 'weak', oid: ref.oid!, database: ref.database };
    const record = recordOf(made);
    if (record?.cache !== undefined && record.cache !== this.#cache) {
      const foreign = this.#foreignReferenceTo(made, record) as ForeignRef;
      return { kind: 'weak', oid: foreign.oid, database: foreign.database };
    }
    return { kind: 'weak', oid: this.#known(made, record).oid!, database: undefined };
  }
}

/** A state as Python stored it for a class with slots or without fields; `undefined` when a dict is wanted by now. */
function inForm({ slots, dict }: StateForm, names: readonly string[], values: readonly unknown[]): unknown {
  if (slots === undefined) return names.length === 0 ? null : undefined;
  const parts: [Record<string, unknown>, Record<string, unknown>] = [{}, {}];
  names.forEach((name, i) => {
    parts[slots.has(name) ? 1 : 0][name] = values[i];
  });
  return Object.freeze([dict || Object.keys(parts[0]).length > 0 ? parts[0] : null, parts[1]]);
}

/** Adds the oid, and what only this floor can say. */
function explained(
  error: PicklingError,
  path: string,
  oid: Oid,
  refused: object | undefined,
): UnsavableValueError {
  let { reason } = error;
  if (reason.includes('function')) {
    if (oid !== ROOT_OID) reason += '; make it a method of the class, or mark the field @transient';
  } else if (reason.startsWith('objects of the class') && refused !== undefined) {
    const other = ofOtherCopy(refused);
    if (other !== undefined)
      reason = `objects of the class ${refused.constructor.name} cannot be saved here: ${other}`;
  }
  return new UnsavableValueError(path, reason, oid, { cause: error });
}
