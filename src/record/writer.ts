import { type Oid, oidToBytes } from '../ids';
import { PickleWriter, type PyInstance, type Reduction } from '../pickle/index';
import type { ClassMeta } from './class-meta';
import type { FieldList } from './field-list';
import type { Reference, RecordWriterHooks } from './interfaces';
import { WrittenOids } from './written-oids';

/** The references of a record without any: most have none. */
const NONE: Oid[] = [];

/** Oids up to this one have no more than 31 bits. */
const SMALL = 0x7fff_ffff;

/** One oid's bytes, on their way into a record. */
const oidBytes = Buffer.alloc(8);

/**
 * Puts records together. Make one per connection: it reuses its buffer. What can't be saved is a `PicklingError`
 * with the path inside the object; then nothing was written.
 */
export class RecordWriter {
  readonly #writer: PickleWriter;
  readonly #hooks: RecordWriterHooks;
  #references: Oid[] = NONE;
  /** The class of the record before this one, and what its records begin with. */
  #cls: ClassMeta | undefined = undefined;
  #header: Int32Array = new Int32Array(0);
  #headerSize = 0;
  readonly #oids = new WrittenOids();

  constructor(hooks: RecordWriterHooks) {
    this.#hooks = hooks;
    this.#writer = new PickleWriter(this);
  }

  /** Oids of the strong references in the record written last, in order, each once. Not to be changed; it stays as it is. */
  get references(): readonly Oid[] {
    return this.#references;
  }

  /** A record of a state that is a dict of fields. The result is the caller's. */
  writeFields(cls: ClassMeta, fields: FieldList, values: readonly unknown[]): Buffer {
    this.#begin(cls);
    const writer = this.#writer;
    writer.writeColumns(fields.names, values, fields.kinds, fields.prepared);
    return writer.out.take();
  }

  /** A record of any state: `null`, an array, a plain object, … */
  write(cls: ClassMeta, state: unknown): Buffer {
    this.#begin(cls);
    this.#writer.write(state);
    return this.#writer.out.take();
  }

  #begin(cls: ClassMeta): void {
    this.#references = NONE;
    if (this.#oids.count > 0) this.#oids.clear();
    const writer = this.#writer;
    writer.reset();
    if (cls.form === 'class') {
      if (cls !== this.#cls) {
        this.#header = cls.header;
        this.#headerSize = cls.headerSize;
        this.#cls = cls;
      }
      writer.out.words(this.#header, this.#headerSize);
      writer.memo.set(cls.global, writer.memo.count++);
    } else {
      writer.write(cls.pickled);
    }
  }

  /** @internal for the writer of values */
  reduce(object: object): Reduction | PyInstance | undefined {
    return this.#hooks.reduce?.(object);
  }

  /**
   * Writes the persistent id of a reference, with BINPERSID.
   * @internal for the writer of values
   */
  writeObject(object: object): boolean {
    const reference = this.#hooks.reference(object);
    if (reference === undefined) return false;
    const { out } = this.#writer;
    if (reference.kind === 'strong') {
      this.#oid(reference.oid, 1);
      const { cls } = reference;
      if (cls !== undefined && !Array.isArray(cls.newargs)) {
        const { memo } = this.#writer;
        const known = memo.find(cls.global);
        if (known >= 0 && known < 256) {
          out.namedReference(known, memo.count++);
          return true;
        }
        this.#writer.global(cls.global);
        out.byte(0x86);
        this.#writer.put();
      }
    } else {
      this.#writeOther(reference);
    }
    out.byte(0x51);
    return true;
  }

  /** Objects whose class has `__getnewargs__` are referred to without their class: it is in their own record. */
  #namesClass(cls: ClassMeta | undefined): cls is ClassMeta {
    return cls !== undefined && !Array.isArray(cls.newargs);
  }

  /** Writes an oid, and notes it as a reference when `strong` is 1. */
  #oid(oid: Oid, strong: 0 | 1): void {
    const { out, memo } = this.#writer;
    const oids = this.#oids;
    const at = oid > oids.greatest ? -1 : oids.find(oid);
    if (at < 0) {
      oids.add(oid, memo.count, strong);
      if (strong === 1) {
        if (this.#references.length > 0) this.#references.push(oid);
        else this.#references = [oid];
      }
      if (oid < 0) oidToBytes(oid, oidBytes, 0);
      const high = oid < 0 ? oidBytes.readInt32BE(0) : oid <= SMALL ? 0 : Math.floor(oid / 0x1_0000_0000);
      out.bytes8(high, oid < 0 ? oidBytes.readInt32BE(4) : oid, memo.count++);
      return;
    }
    if (strong === 1 && oids.makeStrong(at)) this.#noteReference(oid);
    out.indexed(0x68, 0x6a, oids.indexOf(at));
  }

  #noteReference(oid: Oid): void {
    if (this.#references.length === 0) this.#references = [oid];
    else this.#references.push(oid);
  }

  /** A list of a letter and a tuple; see the table in `persistent-id.ts`. */
  #writeOther(reference: Exclude<Reference, { kind: 'strong' }>): void {
    const writer = this.#writer;
    const { out } = writer;
    out.byte(0x5d);
    writer.put();
    out.byte(0x28);
    if (reference.kind === 'weak') {
      writer.text('w');
      this.#oid(reference.oid, 0);
      if (reference.database !== undefined) writer.text(reference.database);
      out.byte(reference.database === undefined ? 0x85 : 0x86);
    } else {
      const named = this.#namesClass(reference.cls);
      writer.text(named ? 'm' : 'n');
      writer.text(reference.database);
      this.#oid(reference.oid, 0);
      if (named) writer.global(reference.cls!.global);
      out.byte(named ? 0x87 : 0x86);
    }
    writer.put();
    out.byte(0x65);
  }
}
