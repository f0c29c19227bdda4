/**
 * The pickler: protocol 3 as Python's own writes it, with the memo's numbers and the batches of 1,000 (`Lib/pickle.py`).
 * Equal input gives equal bytes. Strings are memoized by value, objects by identity.
 */
import {
  dateBytes,
  isDatetime,
  reduceBuiltin,
  orderedDict,
  smallBigInt,
  undefinedReduction,
} from './builtin-writers';
import { ByteArray, PyDict } from './containers';
import { PyTimezone } from './datetime';
import { MAX_DEPTH } from './depth';
import { PicklingError } from './errors';
import { Frame, FrameStack } from './frames';
import { Global } from './global';
import type { Reduction, WriterOptions } from './interfaces';
import { isBuiltinPrototype, isPlainPrototype, nameOfClass, whyNot } from './kinds';
import { PyInstance } from './instance';
import { PyFloat } from './numbers';
import { Output } from './output';
import { types } from 'node:util';
import { WriteAs } from './write-as';
import { WriteMemo } from './write-memo';

const BATCH = 1000;
/** Number of an object whose arguments are being written: it has none yet. */
const IN_PROGRESS = -2;

/** Buffers that no writer uses now: a writer for a single value would spend more on a new one than on the value. */
const spare: [Output, WriteMemo][] = [];

const datetime = Global.of('datetime', 'datetime');
const timezone = Global.of('datetime', 'timezone');
const timedelta = Global.of('datetime', 'timedelta');
const encodeGlobal = Global.of('_codecs', 'encode');
const newObjEx = Global.of('copyreg', '__newobj_ex__');

/** Options between this floor and the record floor. */
export interface InternalWriterOptions extends WriterOptions {
  /**
   * Writes an object of a class that is no plain or built-in one with the writer's own means, and gives true; or writes
   * nothing and gives false.
   */
  writeObject?: ((object: object, writer: PickleWriter) => boolean) | undefined;
}

/** Writes one pickle after another. The memo lasts until {@link reset}. */
export class PickleWriter {
  readonly out: Output;
  readonly memo: WriteMemo;
  readonly #frames = new FrameStack();
  readonly #options: InternalWriterOptions;
  readonly #protocol: number;
  readonly #maxDepth: number;

  constructor(options: InternalWriterOptions = {}) {
    [this.out, this.memo] = spare.pop() ?? [new Output(), new WriteMemo()];
    this.#options = options;
    this.#protocol = options.protocol ?? 3;
    this.#maxDepth = Math.min(options.maxDepth ?? MAX_DEPTH, MAX_DEPTH);
  }

  /** Forgets what was written, and the memo. */
  reset(): void {
    this.out.reset();
    this.memo.clear();
    this.#frames.clear();
  }

  /** Ends the use of this writer, and lets the next one have its buffer. */
  dispose(): void {
    this.reset();
    if (spare.length < 8) spare.push([this.out, this.memo]);
  }

  /** A copy of the pickles written since {@link reset}. */
  copy(): Buffer {
    return this.out.copy();
  }

  /** Appends a pickle of a value. Throws {@link PicklingError}; then call {@link reset} before the next one. */
  write(value: unknown): void {
    this.out.byte2(0x80, this.#protocol);
    this.save(value);
    this.#run();
    this.out.byte(0x2e);
  }

  /** Appends a pickle of a dict of columns. `kinds` says how each value is written. */
  writeColumns(names: readonly string[], values: readonly unknown[], kinds: readonly WriteAs[]): void {
    const { out, memo } = this;
    out.byte2(0x80, this.#protocol);
    out.byte(0x7d);
    out.indexed(0x71, 0x72, memo.count++);
    if (names.length > 0) {
      if (names.length > 1) out.byte(0x28);
      this.#frames.push(Frame.columns, values, names, 1);
      this.#kinds = kinds;
      this.#run();
    }
    out.byte(0x2e);
  }

  #kinds: readonly WriteAs[] = [];

  #error(reason: string): PicklingError {
    return new PicklingError(reason, this.#frames.path());
  }

  #push(kind: Frame, object: unknown, aux: unknown, weight: number): void {
    const frames = this.#frames;
    frames.push(kind, object, aux, weight);
    if (frames.level > this.#maxDepth) {
      const path = frames.path();
      throw new PicklingError(
        `values nested more than ${this.#maxDepth} deep cannot be saved`,
        path.length > 80 ? `${path.slice(0, 80)}…` : path,
      );
    }
  }

  /** Gives the value just written the next number. */
  put(): void {
    this.out.indexed(0x71, 0x72, this.memo.count++);
  }

  #putObject(object: object): void {
    this.memo.set(object, this.memo.count);
    this.put();
  }

  /** Writes a string. */
  text(text: string): void {
    const index = this.memo.text(text);
    if (index >= 0) {
      this.out.indexed(0x68, 0x6a, index);
    } else {
      this.out.text(text);
      this.out.indexed(0x71, 0x72, this.memo.count - 1);
    }
  }

  /** Writes a class by name. */
  global(global: Global): void {
    const { out, memo } = this;
    const index = memo.find(global);
    if (index >= 0) {
      out.indexed(0x68, 0x6a, index);
      return;
    }
    if (global.module.includes('\n') || global.name.includes('\n')) {
      throw this.#error('a class whose name has a line feed cannot be saved');
    }
    out.byte(0x63);
    out.bytes(global.line);
    this.#putObject(global);
  }

  #number(value: number): void {
    const out = this.out;
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) out.int32(value);
    else if (Number.isSafeInteger(value) && value !== 0) out.safeInteger(value);
    else out.float(value);
  }

  /** Writes a scalar at once; a container only begins, and goes on in the frames. */
  save(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.text(value);
        return;
      case 'number':
        this.#number(value);
        return;
      case 'boolean':
        this.out.byte(value ? 0x88 : 0x89);
        return;
      case 'object':
        if (value === null) this.out.byte(0x4e);
        else this.#object(value);
        return;
      case 'undefined':
        this.#push(Frame.reduce, undefinedReduction, undefined, 1);
        return;
      case 'bigint':
        if (Number.isSafeInteger(Number(value))) this.#push(Frame.reduce, smallBigInt(value), undefined, 1);
        else this.out.long(value);
        return;
      case 'function':
        throw this.#error('functions cannot be saved');
      default:
        throw this.#error('symbols cannot be saved');
    }
  }

  #fetch(object: object): boolean {
    const index = this.memo.find(object);
    if (index === -1) return false;
    if (index === IN_PROGRESS) {
      throw this.#error(`${nameOfClass(object)} contains itself, which its pickle can't express`);
    }
    this.out.indexed(0x68, 0x6a, index);
    return true;
  }

  #object(object: object): void {
    if (Array.isArray(object)) {
      if (Object.getPrototypeOf(object) === Array.prototype || isBuiltinPrototype(object)) {
        if (Object.isFrozen(object)) this.#tuple(object);
        else this.#list(object);
        return;
      }
    } else {
      const prototype = Object.getPrototypeOf(object) as object | null;
      if (prototype === Object.prototype || isPlainPrototype(prototype)) {
        this.#plain(object);
        return;
      }
    }
    if (isBuiltinPrototype(object)) this.#builtin(object);
    else this.#instance(object);
  }

  #list(list: readonly unknown[]): void {
    if (this.#fetch(list)) return;
    // Object.keys is faster on the shortest only: it makes a string of each index.
    if ((list.length < 4 ? Object.keys(list) : Object.values(list)).length > list.length) {
      throw this.#error(`an array with properties beside its elements cannot be saved (${extras(list)})`);
    }
    this.out.byte(0x5d);
    this.#putObject(list);
    if (list.length > 0) this.#push(Frame.list, list, undefined, this.#inArgs() ? 0 : 1);
  }

  #inArgs(): boolean {
    const frames = this.#frames;
    return frames.depth > 0 && frames.kinds[frames.depth - 1] === Frame.args;
  }

  #tuple(tuple: readonly unknown[]): void {
    if (tuple.length === 0) {
      this.out.byte(0x29);
      return;
    }
    if (this.#fetch(tuple)) return;
    if (tuple.length > 3) this.out.byte(0x28);
    this.#push(Frame.tuple, tuple, undefined, 1);
  }

  #plain(object: object): void {
    if (this.#fetch(object)) return;
    this.out.byte(0x7d);
    this.#putObject(object);
    const keys = Object.keys(object);
    if (keys.length > 0) this.#push(Frame.object, object, keys, 1);
  }

  #dict(map: Map<unknown, unknown>): void {
    this.out.byte(0x7d);
    this.#putObject(map);
    if (map.size > 0) this.#push(Frame.pairs, flatten(map), undefined, 1);
  }

  #bytes(bytes: Uint8Array): void {
    if (this.#protocol >= 3) {
      this.out.binBytes(bytes);
      this.#putObject(bytes);
      return;
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    this.#reduce(bytes, { by: 'call', cls: encodeGlobal, args: [text, 'latin1'] });
  }

  /** A moment in UTC, without the general way of calls: dates are frequent. Same bytes. */
  #date(date: Date): void {
    const { out, memo } = this;
    this.global(datetime);
    out.binBytes(dateBytes(date));
    this.put();
    const utc = PyTimezone.utc;
    if (!this.#fetch(utc)) {
      this.global(timezone);
      this.global(timedelta);
      for (let i = 0; i < 3; i++) out.byte2(0x4b, 0);
      out.byte(0x87);
      this.put();
      out.byte(0x52);
      this.#putObject(utc.offset);
      out.byte(0x85);
      this.put();
      out.byte(0x52);
      this.#putObject(utc);
    }
    out.byte(0x86);
    this.put();
    out.byte(0x52);
    memo.set(date, memo.count);
    this.put();
  }

  #builtin(object: object): void {
    if (this.#fetch(object)) return;
    if (
      Object.getPrototypeOf(object) === Date.prototype &&
      this.#protocol >= 3 &&
      isDatetime(object as Date)
    ) {
      this.#date(object as Date);
      return;
    }
    if (types.isUint8Array(object) && !(object instanceof ByteArray)) {
      this.#bytes(object);
    } else if (types.isMap(object)) {
      if (object instanceof PyDict) this.#dict(object);
      else this.#reduce(object, orderedDict(object));
    } else if (object instanceof Global) {
      this.global(object);
    } else if (object instanceof PyFloat) {
      this.out.float(object.value);
    } else {
      const reduction = reduceBuiltin(object, this.#protocol >= 4);
      if (reduction === undefined) throw this.#error(whyNot(object));
      this.#reduce(object, reduction);
    }
  }

  #instance(object: object): void {
    const options = this.#options;
    if (options.writeObject !== undefined && options.writeObject(object, this)) return;
    const pid = options.persistentId?.(object);
    if (pid !== undefined) {
      this.#push(Frame.persistent, pid, undefined, 1);
      return;
    }
    if (this.#fetch(object)) return;
    const reduction = options.reduce?.(object) ?? (object instanceof PyInstance ? object : undefined);
    if (reduction === undefined) throw this.#error(whyNot(object));
    this.#reduce(object, reduction);
  }

  #reduce(object: object, reduction: Reduction): void {
    this.memo.set(object, IN_PROGRESS);
    this.#push(Frame.reduce, this.#protocol < 4 ? withoutKeywords(reduction) : reduction, object, 1);
  }

  #run(): void {
    const frames = this.#frames;
    while (frames.depth > 0) {
      const d = frames.depth - 1;
      switch (frames.kinds[d]) {
        case Frame.list:
        case Frame.items:
          this.#stepList(d, frames.objects[d] as readonly unknown[], 0x65, 0x61);
          break;
        case Frame.adds:
          this.#stepList(d, frames.objects[d] as readonly unknown[], 0x90, 0x90);
          break;
        case Frame.tuple:
        case Frame.args:
          this.#stepTuple(d, frames.objects[d] as readonly unknown[]);
          break;
        case Frame.object:
          this.#stepObject(d, frames.objects[d] as Record<string, unknown>, frames.auxes[d] as string[]);
          break;
        case Frame.pairs:
          this.#stepPairs(d, frames.objects[d] as readonly unknown[]);
          break;
        case Frame.columns:
          this.#stepColumns(d, frames.auxes[d] as readonly string[], frames.objects[d] as readonly unknown[]);
          break;
        case Frame.reduce:
          this.#stepReduce(d, frames.objects[d] as Reduction, frames.auxes[d] as object | undefined);
          break;
        default:
          this.#stepPersistent(d, frames.objects[d]);
      }
    }
  }

  #stepList(d: number, list: readonly unknown[], many: number, one: number): void {
    const frames = this.#frames;
    const out = this.out;
    const length = list.length;
    // ADDITEMS has no form for one item.
    const marked = length > 1 || many === one;
    let i = frames.indexes[d]!;
    while (i < length) {
      if (marked && i % BATCH === 0) {
        if (i > 0) out.byte(many);
        out.byte(0x28);
      }
      const item = list[i++];
      frames.indexes[d] = i;
      if (item === undefined && !(i - 1 in list)) throw this.#error('a hole in an array cannot be saved');
      this.save(item);
      if (frames.depth - 1 !== d) return;
    }
    out.byte(marked ? many : one);
    frames.pop();
  }

  #stepTuple(d: number, tuple: readonly unknown[]): void {
    const frames = this.#frames;
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
    else this.#putObject(tuple);
  }

  #stepObject(d: number, object: Record<string, unknown>, keys: readonly string[]): void {
    const frames = this.#frames;
    const out = this.out;
    const length = keys.length;
    let i = frames.indexes[d]!;
    while (i < length) {
      if (length > 1 && i % BATCH === 0) {
        if (i > 0) out.byte(0x75);
        out.byte(0x28);
      }
      const key = keys[i++]!;
      frames.indexes[d] = i;
      const property = Object.getOwnPropertyDescriptor(object, key);
      if (property === undefined || property.get !== undefined || property.set !== undefined) {
        throw this.#error('an accessor in a plain object cannot be saved');
      }
      this.text(key);
      this.save(property.value);
      if (frames.depth - 1 !== d) return;
    }
    out.byte(length > 1 ? 0x75 : 0x73);
    frames.pop();
  }

  #stepPairs(d: number, flat: readonly unknown[]): void {
    const frames = this.#frames;
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

  #stepColumns(d: number, names: readonly string[], values: readonly unknown[]): void {
    const frames = this.#frames;
    const out = this.out;
    const kinds = this.#kinds;
    const length = names.length;
    let i = frames.indexes[d]!;
    while (i < length) {
      if (i > 0 && i % BATCH === 0) out.byte2(0x75, 0x28);
      this.text(names[i]!);
      const value = values[i];
      const kind = kinds[i];
      frames.indexes[d] = ++i;
      if (kind === WriteAs.auto || kind === undefined) this.save(value);
      else if (kind === WriteAs.float && typeof value === 'number') out.float(value);
      else this.#saveAs(kind, value);
      if (frames.depth - 1 !== d) return;
    }
    out.byte(length > 1 ? 0x75 : 0x73);
    frames.pop();
  }

  #saveAs(kind: WriteAs, value: unknown): void {
    if (kind === WriteAs.int && typeof value === 'bigint') this.out.long(value);
    else if (kind === WriteAs.float && typeof value === 'bigint') this.out.float(Number(value));
    else if (kind === WriteAs.tuple && Array.isArray(value)) this.#tuple(value);
    else if (kind === WriteAs.list && Array.isArray(value)) this.#list(value);
    else if (kind === WriteAs.dict && value instanceof Map) {
      if (!this.#fetch(value)) this.#dict(value);
    } else if (kind === WriteAs.bytearray && value instanceof Uint8Array) {
      if (!this.#fetch(value)) this.#reduce(value, reduceBuiltin(ByteArray.from(value), false)!);
    } else if (kind === WriteAs.frozenset && value instanceof Set) {
      if (!this.#fetch(value))
        this.#reduce(value, { by: 'call', cls: frozenset, args: [[...(value as Set<unknown>)]] });
    } else {
      this.save(value);
    }
  }

  #stepReduce(d: number, reduction: Reduction, object: object | undefined): void {
    const frames = this.#frames;
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
            this.#push(Frame.args, reduction.args, undefined, 0);
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
            this.#push(Frame.items, reduction.items, undefined, 0);
          }
          break;
        case 5:
          if (reduction.pairs !== undefined && reduction.pairs.length > 0) {
            this.#push(Frame.pairs, reduction.pairs.flat(1), undefined, 0);
          }
          break;
        case 6:
          if (reduction.adds !== undefined && reduction.adds.length > 0) {
            this.#push(Frame.adds, reduction.adds, undefined, 0);
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

  #stepPersistent(d: number, pid: unknown): void {
    const frames = this.#frames;
    if (frames.indexes[d] === 0) {
      frames.indexes[d] = 1;
      this.save(pid);
      if (frames.depth - 1 !== d) return;
    }
    this.out.byte(0x51);
    frames.pop();
  }
}

const frozenset = Global.of('builtins', 'frozenset');

function flatten(map: Map<unknown, unknown>): unknown[] {
  const flat: unknown[] = [];
  for (const [key, value] of map) flat.push(key, value);
  return flat;
}

/** Keyword arguments go through a function below protocol 4. */
function withoutKeywords(reduction: Reduction): Reduction {
  const { kwargs, cls, args, ...rest } = reduction;
  if (kwargs === undefined) return reduction;
  return {
    ...rest,
    by: 'call',
    cls: newObjEx,
    args: [cls, Object.freeze([...args]), Object.fromEntries(kwargs)],
  };
}

function extras(list: readonly unknown[]): string {
  return Object.keys(list)
    .slice(list.length)
    .slice(0, 3)
    .map((key) => JSON.stringify(key))
    .join(', ');
}
