/** From live objects to records: a work list, so that depth costs no stack. */
import { InvalidObjectReference } from '../errors';
import { ROOT_OID, ZERO_TID, type Oid } from '../ids';
import { PicklingError, type Reduction } from '../pickle/index';
import {
  FieldList,
  RecordWriter,
  type ClassMeta,
  type RecordWriterHooks,
  type Reference,
  type StrongReference,
} from '../record/index';
import { keepSpecimen, objectList } from '../specimens';
import { adopt, adoptNew } from './adoption';
import { Broken } from './broken';
import type { ObjectCacheImpl } from './cache';
import { House, VERSION_KEY, type ClassModel } from './class-model';
import { classNameOf } from './classes';
import { UnsavableValueError } from './errors';
import { modelFor } from './guard';
import type { SerializedObject } from './interfaces';
import type { Loader, StateForm } from './loading';
import { INSIDE, watchedValues } from './exposure';
import type { Managed, ManagedContainer } from './managed';
import { Manners, type Manner, type WithGetState } from './manners';
import { claim } from './ownership';
import { ofOtherCopy } from './other-copy';
import { placeOf } from './place';
import { ForeignRef, Ref } from './ref';
import { ObjectRecord, Place, recordOf, Status } from './stamp';
import { ensureLoaded } from './tracked';
import { Kind, kindOf } from './values';
import { ValueClasses } from './value-classes';
import { WeakRef } from './weak-ref';

/** A reference for the writer, which looks at it at once. */
class Referred implements StrongReference {
  readonly kind = 'strong' as const;
  oid = 0 as Oid;
  cls: ClassMeta | undefined = undefined;
}

keepSpecimen<SerializedObject>({
  oid: ROOT_OID,
  serial: ZERO_TID,
  data: new Uint8Array(0),
  references: [],
  refersToGhosts: false,
  className: Object.create(null) as ClassMeta,
  object: Object.create(null) as object,
  isNew: false,
});

/** Puts the records of one cache together. */
export class Saver implements RecordWriterHooks {
  readonly #cache: ObjectCacheImpl;
  readonly #loader: Loader;
  readonly #values: ValueClasses;
  readonly #writer: RecordWriter;
  /** What is to be saved, and beside it the records. */
  #queue = objectList<object>();
  #records = objectList<ObjectRecord>();
  #next = 0;
  /** The record of the object that came {@link next} last. */
  record: ObjectRecord | undefined = undefined;
  readonly #manners: Manners;
  /** Whether the record that is being written refers to something that is not loaded, or may not be. */
  #ghosts = false;
  /** Copies of values of others that stand in the object that is being saved. */
  readonly #copies = new Map<object, object>();
  /** The reference that is being written. */
  readonly #reference = new Referred();

  constructor(cache: ObjectCacheImpl, loader: Loader) {
    this.#cache = cache;
    this.#loader = loader;
    this.#manners = new Manners(cache.jar.registry);
    this.#values = new ValueClasses(cache.jar.registry);
    this.#writer = new RecordWriter(this);
  }

  /** Begins with the objects known to be changed; those that they reach and that are new come behind. */
  start(changed: readonly object[]): void {
    if (this.#queue.length > 0) this.#empty();
    this.#manners.refresh();
    for (const object of changed) {
      const record = recordOf(object)!;
      if (record.serial === ZERO_TID) this.#enqueue(object, record);
      else {
        this.#queue.push(object);
        this.#records.push(record);
      }
    }
  }

  next(): SerializedObject | undefined {
    const at = this.#next;
    if (at === this.#queue.length) return undefined;
    this.#next = at + 1;
    this.record = this.#records[at]!;
    if (this.#copies.size > 0) this.#copies.clear();
    return this.#save(this.#queue[at]!, this.record);
  }

  finish(): void {
    this.#empty();
    this.#values.refused = undefined;
  }

  /** The class an object is stored as. */
  metaOf(object: object, record: ObjectRecord): ClassMeta {
    this.#manners.refresh();
    return this.#loader.metaOf(object) ?? this.#manners.storedAs(object, record).meta;
  }

  /** Lists a new object, once. */
  #enqueue(object: object, record: ObjectRecord): void {
    if ((record.place & Place.queued) !== 0) return;
    record.place |= Place.queued;
    this.#queue.push(object);
    this.#records.push(record);
  }

  #empty(): void {
    this.#copies.clear();
    if (this.#queue.length === 0) return;
    this.record = undefined;
    for (const record of this.#records) record.place &= ~Place.queued;
    this.#queue = objectList();
    this.#records = objectList();
    this.#next = 0;
  }

  #save(object: object, record: ObjectRecord): SerializedObject {
    const oid = record.oid!;
    const manner = this.#manners.storedAs(object, record);
    const cls = this.#loader.metaOf(object) ?? manner.meta;
    let data: Uint8Array;
    this.#ghosts = false;
    try {
      data = this.#write(object, record, cls, manner);
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
      refersToGhosts: this.#ghosts,
      className: cls,
      object,
      isNew: record.serial === ZERO_TID,
    };
  }

  #write(
    object: object,
    record: ObjectRecord,
    cls: ClassMeta,
    { model, house, hasGetState }: Manner,
  ): Uint8Array {
    if (record.status >= Status.probation) ensureLoaded(object, record);
    if (record.state[0].model.ctor === Broken)
      return this.#writer.write(cls, (object as Broken).__getstate__());
    // It is what was asked for last, or of a class that can't be stored.
    if (Object.getPrototypeOf(object) !== this.#manners.lastPrototype) this.#manners.required(object);
    if (house !== House.fields) {
      this.#claimInside(object as Managed, record, cls);
      if (house === House.container)
        return this.#writeContainer(object as ManagedContainer, record, cls, model);
      return this.#writer.write(cls, (object as Managed).__getstate__());
    }
    if (adopt(object, record, model)) this.#adoptValues(object, record);
    if (record.watch !== undefined || this.#cache.addedFields.any) this.#claimValues(object, record, cls);
    if (hasGetState || record.state[0].hasGetState)
      return this.#writer.write(cls, (object as WithGetState).__getstate__());
    return this.#writeFields(object, record, cls, model.options.version);
  }

  #writeFields(
    object: object,
    record: ObjectRecord,
    cls: ClassMeta,
    version: number | undefined,
  ): Uint8Array {
    const layout = record.state[0];
    const values = layout.valuesOf(record.state);
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
    const fields = FieldList.of(['data', ...written.names], [object.dataKind, ...written.kinds]);
    return this.#writer.writeFields(cls, fields, [
      object.getData(),
      ...record.state[0].valuesOf(record.state),
    ]);
  }

  /** Values inside a collection that belong to somebody else. */
  #claimInside(object: Managed, record: ObjectRecord, cls: ClassMeta): void {
    if (record.serial === ZERO_TID) this.#adoptInside(object, record);
    for (const { slot, source: value } of watchedValues(record)) {
      if (slot !== INSIDE) continue;
      const claimed = claim(value, record, () => cls.toString(), this.#copies);
      if (claimed === value) continue;
      object.replaceValue(value, claimed);
      this.#cache.exposures.assigned(object, record, INSIDE, claimed);
    }
  }

  /** As {@link #adoptValues}: of a collection. A leaf that came out of a split has values that others were given. */
  #adoptInside(object: Managed, record: ObjectRecord): void {
    const { exposures } = this.#cache;
    for (const value of object.heldValues() ?? []) {
      if (typeof value !== 'object' || value === null || recordOf(value) !== undefined) continue;
      if (kindOf(value) <= Kind.instance) exposures.assigned(object, record, INSIDE, value);
    }
  }

  /** The program may hold what it put into a new object. */
  #adoptValues(object: object, record: ObjectRecord): void {
    record.place |= Place.adopted;
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
        this.#copies,
      );
      if (claimed === value) continue;
      record.state[slot] = claimed;
      this.#cache.exposures.assigned(object, record, slot, claimed);
    }
  }

  /** @internal for the writer */
  reduce(object: object): Reduction | undefined {
    return this.#values.reduce(object);
  }

  /** @internal for the writer */
  reference(object: object): Reference | undefined {
    const record = recordOf(object);
    if (record === undefined) {
      const prototype = Object.getPrototypeOf(object) as object | null;
      if (prototype === Ref.prototype) {
        this.#ghosts = true;
        return object as Ref;
      }
      // Before `instanceof`, which the guard above a persistent class makes slow.
      if (prototype === this.#manners.lastPrototype || modelFor(object) !== undefined) {
        const manner = this.#manners.required(object);
        const reference = this.#reference;
        reference.oid = this.#reach(object, undefined, manner);
        reference.cls = manner.meta;
        return reference;
      }
      if (object instanceof ForeignRef) return object;
      return object instanceof WeakRef ? this.#weakReferenceTo(object) : undefined;
    }
    if (record.cache === undefined && modelFor(object) === undefined) return undefined;
    if (record.cache !== undefined && record.cache !== this.#cache)
      return this.#foreignReferenceTo(object, record);
    const reference = this.#reference;
    reference.oid = this.#known(object, record);
    reference.cls = this.#referenceClass(object, record);
    return reference;
  }

  /** The oid of an object of this cache; a new object gets one, and its turn. */
  #known(object: object, record: ObjectRecord | undefined): Oid {
    if (record?.cache === undefined) return this.#reach(object, record, this.#manners.required(object));
    if (record.status === Status.ghost) this.#ghosts = true;
    else if (record.serial === ZERO_TID && record.status === Status.changed) this.#enqueue(object, record);
    return record.oid!;
  }

  /** A new object that nobody added: it belongs to the database that reached it first, and to one only. */
  #reach(object: object, known: ObjectRecord | undefined, { model }: Manner): Oid {
    const oid = this.#cache.jar.newOid();
    const record = known ?? new ObjectRecord(model.ghost, Status.unsaved, undefined, undefined);
    if (known === undefined) adoptNew(object, record, model);
    this.#cache.enter(object, record, oid);
    if (known === undefined) this.#adoptValues(object, record);
    record.place |= Place.reached;
    this.#enqueue(object, record);
    return oid;
  }

  /** A reference to an object with arguments of `__new__` names no class. */
  #referenceClass(object: object, record: ObjectRecord): ClassMeta | undefined {
    const known = this.#loader.metaOf(object);
    if (known === undefined) return this.#manners.storedAs(object, record).meta;
    return known.newargs === undefined || known.newargs === null ? known.bare : undefined;
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
    if (record.serial === ZERO_TID && (record.place & Place.reached) !== 0) {
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
    return { kind: 'weak', oid: this.#known(made, record), database: undefined };
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
