import { PickleReader } from '../pickle/index';
import { ClassMeta } from './class-meta';
import { FieldList } from './field-list';
import { ItemForm, Items } from './items';
import type { ItemFormSource, RecordContent, RecordReaderHooks } from './interfaces';
import { loadPersistentId, loadShortReference } from './persistent-id';

const NO_VALUES: unknown[] = [];

/**
 * A pickle reader, lent to one record after another: what it has learned, and what V8 has learned of it, serves all of the
 * process. Made anew for each connection it would be slow at first each time.
 */
class Work {
  hooks: RecordReaderHooks = NOBODY;
  readonly reader: PickleReader;

  constructor() {
    this.reader = new PickleReader({
      unknown: 'broken',
      resolve: (global) => this.hooks.resolve?.(global),
      persistentLoad: (pid) => loadPersistentId(this.hooks, pid),
      persistentLoad8: (input, offset, cls) => loadShortReference(this.hooks, input, offset, cls),
      restart: () => this.hooks.restart?.(),
    });
  }
}

const NOBODY = {} as RecordReaderHooks;
/** The one that is not lent now. A hook may come to read another record: then there is none. */
let idle: Work | undefined;

function lend(hooks: RecordReaderHooks): Work {
  const work = idle ?? new Work();
  idle = undefined;
  work.hooks = hooks;
  return work;
}

function giveBack(work: Work): void {
  work.reader.close();
  work.hooks = NOBODY;
  idle = work;
}

/** Takes records apart, for one owner. Throws `PickleError` for bytes that are no record. */
export class RecordReader {
  readonly #hooks: RecordReaderHooks;

  constructor(hooks: RecordReaderHooks) {
    this.#hooks = hooks;
  }

  /** Class and state of the record that lies in `bytes` from `start` up to `end`. */
  read(bytes: Uint8Array, start = 0, end = bytes.length): RecordContent {
    const work = lend(this.#hooks);
    const { reader } = work;
    try {
      reader.open(bytes, start, end);
      return stateOf(reader, classOf(reader));
    } finally {
      giveBack(work);
    }
  }

  /** As {@link read}, with the state of a class in the form that the owner wants. */
  readFor(bytes: Uint8Array, owner: ItemFormSource): RecordContent {
    const work = lend(this.#hooks);
    const { reader } = work;
    try {
      reader.open(bytes, 0, bytes.length);
      const cls = classOf(reader);
      const form = owner.itemFormOf(cls);
      if (form !== ItemForm.none && reader.readItems(form === ItemForm.pairs)) {
        const items = new Items(reader.itemKeys, reader.itemValues, reader.itemLink);
        return { cls, fields: undefined, values: NO_VALUES, state: items };
      }
      return stateOf(reader, cls);
    } finally {
      giveBack(work);
    }
  }

  /** The class alone, without decoding the state. */
  readClass(bytes: Uint8Array, start = 0, end = bytes.length): ClassMeta {
    const work = lend(this.#hooks);
    const { reader } = work;
    try {
      reader.open(bytes, start, end);
      return classOf(reader);
    } finally {
      giveBack(work);
    }
  }
}

function classOf(reader: PickleReader): ClassMeta {
  const global = reader.readName();
  return global === undefined ? ClassMeta.fromPickle(reader.read()) : ClassMeta.ofGlobal(global);
}

function stateOf(reader: PickleReader, cls: ClassMeta): RecordContent {
  const expected = cls.lastFields;
  const state = reader.readColumns(expected?.prepared);
  if (reader.asExpected) return { cls, fields: expected, values: reader.columnValues, state: undefined };
  return reader.columnCount >= 0 ? fieldsOf(reader, cls) : content(cls, state);
}

function fieldsOf(reader: PickleReader, cls: ClassMeta): RecordContent {
  const fields = FieldList.ofFirst(reader.columnCount, reader.columnNames, reader.columnKinds);
  const values = reader.columnValues;
  if (fields.hasDuplicates) return withoutDuplicates(cls, fields, values);
  cls.lastFields = fields;
  return { cls, fields, values, state: undefined };
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
