import type { Oid } from '../ids';
import type { ClassMeta } from './class-meta';
import type { FieldList } from './field-list';
import type { RecordWriterHooks } from './interfaces';

/** Puts records together. One per connection: it reuses its buffer. */
export class RecordWriter {
  constructor(_hooks: RecordWriterHooks) {
    throw new Error('not yet');
  }

  /** Oids of the strong references in the record written last, in order, each once. A new array a record. */
  get references(): readonly Oid[] {
    throw new Error('not yet');
  }

  /** A record of a state that is a dict of fields. The result is the caller's. */
  writeFields(_cls: ClassMeta, _fields: FieldList, _values: readonly unknown[]): Buffer {
    throw new Error('not yet');
  }

  /** A record of any state: `null`, an array, a plain object, … */
  write(_cls: ClassMeta, _state: unknown): Buffer {
    throw new Error('not yet');
  }
}
