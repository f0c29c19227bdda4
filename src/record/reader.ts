import { PickleReader } from '../pickle/index';
import { ClassMeta } from './class-meta';
import { FieldList } from './field-list';
import { ItemForm, Items } from './items';
import type { RecordContent, RecordReaderHooks } from './interfaces';
import { persistentIdLoader, shortReferenceLoader } from './persistent-id';

const NO_VALUES: unknown[] = [];

/**
 * Takes records apart. Make one per connection: it keeps what makes the next record faster. Throws `PickleError` for
 * bytes that are no record.
 */
export class RecordReader {
  readonly #reader: PickleReader;

  constructor(hooks: RecordReaderHooks) {
    this.#reader = new PickleReader({
      unknown: 'broken',
      resolve: hooks.resolve && ((global) => hooks.resolve!(global)),
      persistentLoad: persistentIdLoader(hooks),
      persistentLoad8: shortReferenceLoader(hooks),
      restart: hooks.restart && (() => hooks.restart!()),
    });
  }

  /** Class and state of the record that lies in `bytes` from `start` up to `end`. */
  read(bytes: Uint8Array, start = 0, end = bytes.length): RecordContent {
    const reader = this.#reader;
    try {
      reader.open(bytes, start, end);
      return this.#state(this.#class());
    } finally {
      reader.close();
    }
  }

  /** As {@link read}, with the state of a class as `formOf` says. */
  readFor(bytes: Uint8Array, formOf: (cls: ClassMeta) => ItemForm): RecordContent {
    const reader = this.#reader;
    try {
      reader.open(bytes, 0, bytes.length);
      const cls = this.#class();
      const form = formOf(cls);
      if (form !== ItemForm.none && reader.readItems(form === ItemForm.pairs)) {
        const items = new Items(reader.itemKeys, reader.itemValues, reader.itemLink);
        return { cls, fields: undefined, values: NO_VALUES, state: items };
      }
      return this.#state(cls);
    } finally {
      reader.close();
    }
  }

  /** The class alone, without decoding the state. */
  readClass(bytes: Uint8Array, start = 0, end = bytes.length): ClassMeta {
    const reader = this.#reader;
    try {
      reader.open(bytes, start, end);
      return this.#class();
    } finally {
      reader.close();
    }
  }

  #class(): ClassMeta {
    const global = this.#reader.readName();
    return global === undefined ? ClassMeta.fromPickle(this.#reader.read()) : ClassMeta.ofGlobal(global);
  }

  #state(cls: ClassMeta): RecordContent {
    const reader = this.#reader;
    const expected = cls.lastFields;
    const state = reader.readColumns(expected?.prepared);
    if (reader.asExpected) return { cls, fields: expected, values: reader.columnValues, state: undefined };
    return reader.columnCount >= 0 ? this.#fields(cls) : content(cls, state);
  }

  #fields(cls: ClassMeta): RecordContent {
    const reader = this.#reader;
    const fields = FieldList.ofFirst(reader.columnCount, reader.columnNames, reader.columnKinds);
    const values = reader.columnValues;
    if (fields.hasDuplicates) return withoutDuplicates(cls, fields, values);
    cls.lastFields = fields;
    return { cls, fields, values, state: undefined };
  }
}

/** A state that is no dict of string keys, or one that a cycle leads back to. */
function content(cls: ClassMeta, state: unknown): RecordContent {
  if (typeof state !== 'object' || state === null || Object.getPrototypeOf(state) !== Object.prototype) {
    return { cls, fields: undefined, values: [], state };
  }
  return { cls, fields: FieldList.of(Object.keys(state)), values: Object.values(state), state: undefined };
}

/** As in a dict, the first place and the last value count. */
function withoutDuplicates(cls: ClassMeta, fields: FieldList, values: readonly unknown[]): RecordContent {
  const places = new Map<string, number>();
  fields.names.forEach((name, i) => places.set(name, i));
  const kept = [...places.values()];
  return {
    cls,
    fields: FieldList.of(
      [...places.keys()],
      kept.map((i) => fields.kinds[i]!),
    ),
    values: kept.map((i) => values[i]),
    state: undefined,
  };
}
