/**
 * The pickler: protocol 3 as Python's own writes it, with the memo's numbers and the batches of 1,000 (`Lib/pickle.py`).
 * Equal input gives equal bytes. Strings are memoized by value, objects by identity.
 */
import { reduceBuiltin } from './builtin-writers';
import { ByteArray } from './containers';
import { Frame } from './frames';
import { Global } from './global';
import type { Reduction } from './interfaces';
import type { PreparedNames } from './prepared-names';
import { WriteAs } from './write-as';
import { BATCH, spare, ValueWriter } from './value-writer';

export type { InternalWriterOptions } from './value-writer';

const frozenset = Global.of('builtins', 'frozenset');

/** Writes one pickle after another. The memo lasts until {@link reset}. */
export class PickleWriter extends ValueWriter {
  /** Forgets what was written, and the memo. */
  reset(): void {
    this.out.reset();
    this.memo.clear();
    if (this.frames.depth > 0) this.frames.clear();
  }

  /** Ends the use of this writer, and lets the next one have its buffer. */
  dispose(): void {
    this.reset();
    if (spare.length < 8) spare.push([this.out, this.memo]);
  }

  /** The pickles written since {@link reset}, which must come before the next one. The result is the caller's. */
  take(): Buffer {
    return this.out.take();
  }

  /** Appends a pickle of a value. Throws `PicklingError`; then call {@link reset} before the next one. */
  write(value: unknown): void {
    this.out.byte2(0x80, this.protocol);
    this.save(value);
    this.run();
    this.out.byte(0x2e);
  }

  /** Appends a pickle of a dict of columns. `kinds` says how each value is written; `prepared` are the names, if they are. */
  writeColumns(
    names: readonly string[],
    values: readonly unknown[],
    kinds: readonly WriteAs[],
    prepared?: PreparedNames,
  ): void {
    const { out, memo } = this;
    const length = names.length;
    out.beginDict(this.protocol, memo.count++, length > 1);
    // Scalars need no frame: it takes over with the first other value.
    let i = 0;
    while (i < length && i < BATCH) {
      if (prepared === undefined) this.text(names[i]!);
      else this.preparedName(prepared, i);
      const value = values[i];
      const kind = kinds[i++];
      if (kind === WriteAs.float && typeof value === 'number') out.float(value);
      else if ((kind !== WriteAs.auto && kind !== undefined) || !this.scalar(value)) {
        this.beginColumns(names, values, kinds, prepared, i);
        if (kind === WriteAs.auto || kind === undefined) this.save(value);
        else this.saveAs(kind, value);
        this.run();
        out.byte(0x2e);
        return;
      }
    }
    if (i < length) {
      this.beginColumns(names, values, kinds, prepared, i);
      this.run();
    } else if (length > 0) out.byte(length > 1 ? 0x75 : 0x73);
    out.byte(0x2e);
  }

  /** A frame for columns of which `done` are begun. */
  protected beginColumns(
    names: readonly string[],
    values: readonly unknown[],
    kinds: readonly WriteAs[],
    prepared: PreparedNames | undefined,
    done: number,
  ): void {
    this.frames.push(Frame.columns, values, names, 1);
    this.frames.indexes[this.frames.depth - 1] = done;
    this.kinds = kinds;
    this.prepared = prepared;
  }

  protected kinds: readonly WriteAs[] = [];
  protected prepared: PreparedNames | undefined = undefined;

  protected run(): void {
    const frames = this.frames;
    while (frames.depth > 0) {
      const d = frames.depth - 1;
      switch (frames.kinds[d]) {
        case Frame.list:
        case Frame.items:
          this.stepList(d, frames.objects[d] as readonly unknown[], 0x65, 0x61);
          break;
        case Frame.adds:
          this.stepList(d, frames.objects[d] as readonly unknown[], 0x90, 0x90);
          break;
        case Frame.tuple:
        case Frame.args:
          this.stepTuple(d, frames.objects[d] as readonly unknown[]);
          break;
        case Frame.object:
          this.stepObject(d, frames.objects[d] as Record<string, unknown>, frames.auxes[d] as string[]);
          break;
        case Frame.pairs:
          this.stepPairs(d, frames.objects[d] as readonly unknown[]);
          break;
        case Frame.columns:
          this.stepColumns(d, frames.auxes[d] as readonly string[], frames.objects[d] as readonly unknown[]);
          break;
        case Frame.reduce:
          this.stepReduce(d, frames.objects[d] as Reduction, frames.auxes[d] as object | undefined);
          break;
        default:
          this.stepPersistent(d, frames.objects[d]);
      }
    }
  }

  protected stepList(d: number, list: readonly unknown[], many: number, one: number): void {
    const frames = this.frames;
    const out = this.out;
    const length = list.length;
    let i = frames.indexes[d]!;
    while (i < length) {
      if (i > 0 && i % BATCH === 0) out.byte2(many, 0x28);
      const item = list[i++];
      frames.indexes[d] = i;
      if (item === undefined && !(i - 1 in list)) throw this.error('a hole in an array cannot be saved');
      this.save(item);
      if (frames.depth - 1 !== d) return;
    }
    out.byte(length > 1 ? many : one);
    frames.pop();
  }

  protected stepTuple(d: number, tuple: readonly unknown[]): void {
    const frames = this.frames;
    const out = this.out;
    const length = tuple.length;
    let i = frames.indexes[d]!;
    while (i < length) {
      const item = tuple[i++];
      frames.indexes[d] = i;
      this.save(item);
      if (frames.depth - 1 !== d) return;
    }
    const isArgs = frames.kinds[d] === Frame.args;
    frames.pop();
    const index = isArgs ? -1 : this.memo.find(tuple);
    if (index >= 0) {
      // The tuple came again inside one of its items: that one counts, drop these.
      if (length > 3) {
        out.byte(0x31);
      } else {
        for (let k = 0; k < length; k++) out.byte(0x30);
      }
      out.indexed(0x68, 0x6a, index);
      return;
    }
    out.byte(length > 3 ? 0x74 : 0x84 + length);
    if (isArgs) this.put();
    else this.putObject(tuple);
  }

  protected stepObject(d: number, object: Record<string, unknown>, keys: readonly string[]): void {
    const frames = this.frames;
    const out = this.out;
    const length = keys.length;
    let i = frames.indexes[d]!;
    while (i < length) {
      if (i > 0 && i % BATCH === 0) out.byte2(0x75, 0x28);
      const key = keys[i++]!;
      frames.indexes[d] = i;
      const property = Object.getOwnPropertyDescriptor(object, key);
      if (property === undefined || property.get !== undefined || property.set !== undefined) {
        throw this.error('an accessor in a plain object cannot be saved');
      }
      this.key(i - 1, key);
      this.save(property.value);
      if (frames.depth - 1 !== d) return;
    }
    out.byte(length > 1 ? 0x75 : 0x73);
    frames.pop();
  }

  protected stepPairs(d: number, flat: readonly unknown[]): void {
    const frames = this.frames;
    const out = this.out;
    const length = flat.length;
    let i = frames.indexes[d]!;
    while (i < length) {
      if (length > 2 && i % (2 * BATCH) === 0) {
        if (i > 0) out.byte(0x75);
        out.byte(0x28);
      }
      const item = flat[i++];
      frames.indexes[d] = i;
      this.save(item);
      if (frames.depth - 1 !== d) return;
    }
    out.byte(length > 2 ? 0x75 : 0x73);
    frames.pop();
  }

  protected stepColumns(d: number, names: readonly string[], values: readonly unknown[]): void {
    const frames = this.frames;
    const out = this.out;
    const { kinds, prepared } = this;
    const length = names.length;
    let i = frames.indexes[d]!;
    while (i < length) {
      if (i > 0 && i % BATCH === 0) out.byte2(0x75, 0x28);
      if (prepared === undefined) this.text(names[i]!);
      else this.preparedName(prepared, i);
      const value = values[i];
      const kind = kinds[i];
      frames.indexes[d] = ++i;
      if (kind === WriteAs.auto || kind === undefined) this.save(value);
      else if (kind === WriteAs.float && typeof value === 'number') out.float(value);
      else this.saveAs(kind, value);
      if (frames.depth - 1 !== d) return;
    }
    out.byte(length > 1 ? 0x75 : 0x73);
    frames.pop();
  }

  /** As {@link text}. */
  protected preparedName(prepared: PreparedNames, i: number): void {
    const { out, memo } = this;
    const index = memo.textIn(prepared.slots[i]!, prepared.names[i]!);
    if (index >= 0) out.indexed(0x68, 0x6a, index);
    else out.name(prepared, i, memo.count - 1);
  }

  protected saveAs(kind: WriteAs, value: unknown): void {
    if (kind === WriteAs.int && typeof value === 'bigint') this.out.long(value);
    else if (kind === WriteAs.tuple && Array.isArray(value)) this.tuple(value);
    else if (kind === WriteAs.list && Array.isArray(value)) this.list(value);
    else if (kind === WriteAs.dict && value instanceof Map) {
      if (!this.fetch(value)) this.dict(value);
    } else if (kind === WriteAs.bytearray && value instanceof Uint8Array) {
      if (!this.fetch(value)) this.reduce(value, reduceBuiltin(ByteArray.from(value), false)!);
    } else if (kind === WriteAs.frozenset && value instanceof Set) {
      if (!this.fetch(value))
        this.reduce(value, { by: 'call', cls: frozenset, args: [[...(value as Set<unknown>)]] });
    } else {
      this.save(value);
    }
  }

  protected stepReduce(d: number, reduction: Reduction, object: object | undefined): void {
    const frames = this.frames;
    const { out, memo } = this;
    for (;;) {
      switch (frames.indexes[d]!++) {
        case 0:
          if (reduction.cls instanceof Global) this.global(reduction.cls);
          else this.save(reduction.cls);
          break;
        case 1:
          if (reduction.args.length === 0) {
            out.byte(0x29);
          } else {
            if (reduction.args.length > 3) out.byte(0x28);
            this.push(Frame.args, reduction.args, undefined, 0);
          }
          break;
        case 2:
          if (reduction.kwargs !== undefined) this.save(Object.fromEntries(reduction.kwargs));
          break;
        case 3:
          out.byte(reduction.kwargs !== undefined ? 0x92 : reduction.by === 'call' ? 0x52 : 0x81);
          if (object !== undefined) memo.set(object, memo.count);
          this.put();
          break;
        case 4:
          if (reduction.items !== undefined && reduction.items.length > 0) {
            if (reduction.items.length > 1) out.byte(0x28);
            this.push(Frame.items, reduction.items, undefined, 0);
          }
          break;
        case 5:
          if (reduction.pairs !== undefined && reduction.pairs.length > 0) {
            this.push(Frame.pairs, reduction.pairs.flat(1), undefined, 0);
          }
          break;
        case 6:
          if (reduction.adds !== undefined && reduction.adds.length > 0) {
            // ADDITEMS has no form for one item.
            out.byte(0x28);
            this.push(Frame.adds, reduction.adds, undefined, 0);
          }
          break;
        case 7:
          if (reduction.state !== undefined) this.save(reduction.state);
          break;
        default:
          if (reduction.state !== undefined) out.byte(0x62);
          frames.pop();
          return;
      }
      if (frames.depth - 1 !== d) return;
    }
  }

  protected stepPersistent(d: number, pid: unknown): void {
    const frames = this.frames;
    if (frames.indexes[d] === 0) {
      frames.indexes[d] = 1;
      this.save(pid);
      if (frames.depth - 1 !== d) return;
    }
    this.out.byte(0x51);
    frames.pop();
  }
}
