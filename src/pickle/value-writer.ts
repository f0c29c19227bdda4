/** What each value begins with in a pickle; how containers go on is in `writer.ts`. */
import {
  dateBytes,
  isDatetime,
  reduceBuiltin,
  orderedDict,
  smallBigInt,
  undefinedReduction,
} from './builtin-writers';
import { ByteArray, isUnhashable, PyDict } from './containers';
import { PyTimezone } from './datetime';
import { MAX_DEPTH } from './depth';
import { PicklingError } from './errors';
import { Frame, FrameStack } from './frames';
import { Global } from './global';
import type { Reduction, WriterOptions } from './interfaces';
import { Kind, kindOf, nameOfClass, whyNot } from './kinds';
import { PyInstance } from './instance';
import { PyFloat } from './numbers';
import { Output } from './output';
import { types } from 'node:util';
import { WriteMemo } from './write-memo';

/** Number of an object whose arguments are being written: it has none yet. */
const IN_PROGRESS = -2;
/** Buffers that no writer uses now: a writer for a single value would spend more on a new one than on the value. */
export const spare: [Output, WriteMemo][] = [];
/** How many items go between a mark and its end. */
export const BATCH = 1000;
const datetime = Global.of('datetime', 'datetime');
const timezone = Global.of('datetime', 'timezone');
const timedelta = Global.of('datetime', 'timedelta');
const encodeGlobal = Global.of('_codecs', 'encode');
const newObjEx = Global.of('copyreg', '__newobj_ex__');

/** Options between this floor and the record floor. */
export interface InternalWriterOptions extends WriterOptions {
  /**
   * Writes an object of a class that is no plain or built-in one, and gives true; or writes nothing and gives
   * false.
   */
  writeObject?: ((object: object) => boolean) | undefined;
}

/** Begins to write values: scalars at once, containers as frames that go on later. */
export class ValueWriter {
  readonly out: Output;
  readonly memo: WriteMemo;
  protected readonly frames = new FrameStack();
  protected readonly options: InternalWriterOptions;
  protected readonly protocol: number;
  protected readonly maxDepth: number;

  constructor(options: InternalWriterOptions = {}) {
    [this.out, this.memo] = spare.pop() ?? [new Output(), new WriteMemo()];
    this.options = options;
    this.protocol = options.protocol ?? 3;
    this.maxDepth = Math.min(options.maxDepth ?? MAX_DEPTH, MAX_DEPTH);
  }

  protected error(reason: string): PicklingError {
    return new PicklingError(reason, this.frames.path());
  }

  protected push(kind: Frame, object: unknown, aux: unknown, weight: number): void {
    const frames = this.frames;
    frames.push(kind, object, aux, weight);
    if (frames.level > this.maxDepth) {
      const path = frames.path();
      throw new PicklingError(
        `values nested more than ${this.maxDepth} deep cannot be saved`,
        path.length > 80 ? `${path.slice(0, 80)}…` : path,
      );
    }
  }

  /** Gives the value just written the next number. */
  put(): void {
    this.out.indexed(0x71, 0x72, this.memo.count++);
  }

  protected putObject(object: object): void {
    this.memo.set(object, this.memo.count);
    this.put();
  }

  /** Writes a string. */
  text(text: string): void {
    const index = this.memo.text(text);
    if (index >= 0) this.out.indexed(0x68, 0x6a, index);
    else this.out.text(text, this.memo.count - 1);
  }

  /** Writes key number `i` of a plain object. */
  protected key(i: number, key: string): void {
    const index = this.memo.key(i, key);
    if (index >= 0) this.out.indexed(0x68, 0x6a, index);
    else this.out.text(key, this.memo.count - 1);
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
      throw this.error('a class whose name has a line feed cannot be saved');
    }
    out.byte(0x63);
    out.bytes(global.line);
    this.putObject(global);
  }

  protected number(value: number): void {
    const out = this.out;
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) out.int32(value);
    else if (Number.isSafeInteger(value) && value !== 0) out.safeInteger(value);
    else out.float(value);
  }

  /** Writes a scalar at once; a container only begins, and goes on in the frames. */
  save(value: unknown): void {
    if (this.scalar(value)) return;
    if (typeof value === 'object') this.object(value!);
    else this.rare(value);
  }

  /** Writes one of the frequent values that stand alone; false for any other. */
  protected scalar(value: unknown): boolean {
    // Comparisons of typeof, each by itself, are compiled into looks at the value; a switch calls for the name of its type.
    if (typeof value === 'string') this.text(value);
    else if (typeof value === 'number') this.number(value);
    else if (value === null) this.out.byte(0x4e);
    else if (typeof value === 'boolean') this.out.byte(value ? 0x88 : 0x89);
    else return false;
    return true;
  }

  protected rare(value: unknown): void {
    if (value === undefined) {
      this.push(Frame.reduce, undefinedReduction, undefined, 1);
    } else if (typeof value === 'bigint') {
      if (Number.isSafeInteger(Number(value))) this.push(Frame.reduce, smallBigInt(value), undefined, 1);
      else this.out.long(value);
    } else {
      throw this.error(typeof value === 'function' ? 'functions cannot be saved' : 'symbols cannot be saved');
    }
  }

  protected fetch(object: object): boolean {
    const index = this.memo.find(object);
    if (index === -1) return false;
    if (index === IN_PROGRESS) {
      throw this.error(`${nameOfClass(object)} contains itself, which its pickle can't express`);
    }
    this.out.indexed(0x68, 0x6a, index);
    return true;
  }

  protected object(object: object): void {
    const prototype = Object.getPrototypeOf(object) as object | null;
    if (Array.isArray(object)) {
      if (prototype !== Array.prototype && kindOf(prototype) === Kind.other) this.instance(object);
      else if (Object.isFrozen(object)) this.tuple(object);
      else this.list(object);
      return;
    }
    const kind = kindOf(prototype);
    if (kind === Kind.other) this.instance(object);
    else if (kind === Kind.plain) this.plain(object);
    else this.builtin(object);
  }

  protected list(list: readonly unknown[]): void {
    if (this.fetch(list)) return;
    // Object.keys is faster on the shortest only: it makes a string of each index.
    if ((list.length < 4 ? Object.keys(list) : Object.values(list)).length > list.length) {
      throw this.error(
        `an array with properties beside its elements cannot be saved (${extras(list, list.length)})`,
      );
    }
    this.out.byte(0x5d);
    this.putObject(list);
    const length = list.length;
    if (length === 0) return;
    if (length > 1) this.out.byte(0x28);
    // Scalars need no frame: it takes over from the first other item.
    const done = this.mayInline(length) ? this.scalars(list) : 0;
    if (done === length) {
      this.out.byte(length > 1 ? 0x65 : 0x61);
    } else {
      this.push(Frame.list, list, undefined, this.inArgs() ? 0 : 1);
      this.frames.indexes[this.frames.depth - 1] = done;
    }
  }

  /** Whether a container of this length needs no frame as long as it holds scalars: it is no batch too long, nor too deep. */
  protected mayInline(length: number): boolean {
    return length <= BATCH && this.frames.level < this.maxDepth;
  }

  /** Writes the scalars that a list begins with, and gives their number. */
  protected scalars(list: readonly unknown[]): number {
    let i = 0;
    while (i < list.length && this.scalar(list[i])) i++;
    return i;
  }

  protected inArgs(): boolean {
    const frames = this.frames;
    return frames.depth > 0 && frames.kinds[frames.depth - 1] === Frame.args;
  }

  protected tuple(tuple: readonly unknown[]): void {
    if (tuple.length === 0) {
      this.out.byte(0x29);
      return;
    }
    if (this.fetch(tuple)) return;
    if (tuple.length > 3) this.out.byte(0x28);
    this.push(Frame.tuple, tuple, undefined, 1);
  }

  protected plain(object: object): void {
    if (this.fetch(object)) return;
    this.out.byte(0x7d);
    this.putObject(object);
    const keys = Object.keys(object);
    const length = keys.length;
    if (length === 0) return;
    if (length > 1) this.out.byte(0x28);
    const done = this.mayInline(length) ? this.scalarProperties(object as Record<string, unknown>, keys) : 0;
    if (done === length) {
      this.out.byte(length > 1 ? 0x75 : 0x73);
    } else {
      this.push(Frame.object, object, keys, 1);
      this.frames.indexes[this.frames.depth - 1] = done;
    }
  }

  /** As {@link scalars}, of a plain object; stops before an accessor, too. */
  protected scalarProperties(object: Record<string, unknown>, keys: readonly string[]): number {
    for (let i = 0; i < keys.length; i++) {
      const property = Object.getOwnPropertyDescriptor(object, keys[i]!);
      if (property === undefined || property.get !== undefined || property.set !== undefined) return i;
      const value: unknown = property.value;
      if (!isScalar(value)) return i;
      this.key(i, keys[i]!);
      this.scalar(value);
    }
    return keys.length;
  }

  protected dict(map: Map<unknown, unknown>): void {
    for (const key of map.keys()) {
      if (isUnhashable(key)) {
        throw this.error(
          `a dict cannot have ${Array.isArray(key) ? 'an array that is not frozen' : 'a value that can change'} as a key`,
        );
      }
    }
    this.out.byte(0x7d);
    this.putObject(map);
    if (map.size > 0) this.push(Frame.pairs, flatten(map), undefined, 1);
  }

  protected bytes(bytes: Uint8Array): void {
    if (this.protocol >= 3) {
      this.out.binBytes(bytes);
      this.putObject(bytes);
      return;
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    this.reduce(bytes, { by: 'call', cls: encodeGlobal, args: [text, 'latin1'] });
  }

  /** A moment in UTC, without the general way of calls: dates are frequent. Same bytes. */
  protected date(date: Date): void {
    const { out, memo } = this;
    this.global(datetime);
    out.binBytes(dateBytes(date));
    this.put();
    const utc = PyTimezone.utc;
    if (!this.fetch(utc)) {
      this.global(timezone);
      this.global(timedelta);
      for (let i = 0; i < 3; i++) out.byte2(0x4b, 0);
      out.byte(0x87);
      this.put();
      out.byte(0x52);
      this.putObject(utc.offset);
      out.byte(0x85);
      this.put();
      out.byte(0x52);
      this.putObject(utc);
    }
    out.byte(0x86);
    this.put();
    out.byte(0x52);
    memo.set(date, memo.count);
    this.put();
  }

  protected builtin(object: object): void {
    if (this.fetch(object)) return;
    const prototype = Object.getPrototypeOf(object) as object;
    if (BARE.has(prototype) && Object.keys(object).length > 0) {
      const name = nameOfClass(object);
      throw this.error(`a ${name} with properties of its own cannot be saved (${extras(object, 0)})`);
    }
    if (prototype === Date.prototype && this.protocol >= 3 && isDatetime(object as Date)) {
      this.date(object as Date);
      return;
    }
    if (types.isUint8Array(object) && !(object instanceof ByteArray)) {
      this.bytes(object);
    } else if (types.isMap(object)) {
      if (object instanceof PyDict) this.dict(object);
      else this.reduce(object, orderedDict(object));
    } else if (object instanceof Global) {
      this.global(object);
    } else if (object instanceof PyFloat) {
      this.out.float(object.value);
    } else {
      const reduction = reduceBuiltin(object, this.protocol >= 4);
      if (reduction === undefined) throw this.error(whyNot(object));
      this.reduce(object, reduction);
    }
  }

  protected instance(object: object): void {
    const options = this.options;
    if (options.writeObject !== undefined && options.writeObject(object)) return;
    const pid = options.persistentId?.(object);
    if (pid !== undefined) {
      this.push(Frame.persistent, pid, undefined, 1);
      return;
    }
    if (this.fetch(object)) return;
    const reduction = options.reduce?.(object) ?? (object instanceof PyInstance ? object : undefined);
    if (reduction === undefined) throw this.error(whyNot(object));
    this.reduce(object, reduction);
  }

  protected reduce(object: object, reduction: Reduction): void {
    this.memo.set(object, IN_PROGRESS);
    this.push(Frame.reduce, this.protocol < 4 ? withoutKeywords(reduction) : reduction, object, 1);
  }
}

function isScalar(value: unknown): boolean {
  return (
    typeof value === 'string' || typeof value === 'number' || value === null || typeof value === 'boolean'
  );
}

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

/** What a program puts on these beside what they hold has no place in a pickle. */
const BARE: ReadonlySet<object> = new Set([Date.prototype, Map.prototype, Set.prototype]);

function extras(object: object, elements: number): string {
  return Object.keys(object)
    .slice(elements)
    .slice(0, 3)
    .map((key) => JSON.stringify(key))
    .join(', ');
}
