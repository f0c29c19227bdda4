/**
 * The pickle machine: a stack, a memo and one opcode after another (`Lib/pickletools.py` describes each). It makes
 * values only; nothing that a pickle names is looked up anywhere but in tables of built-in values and registered classes.
 *
 * A dict is not made before its first items are known, so that it can be a plain object of one generated literal, or
 * a `PyDict` when a key is no string. Until then its place on the stack is noted. If an object turns out to be of another
 * kind after it has been handed out (a dict in a cycle, or of more than 1,000 keys), the pickle is read again:
 * once to collect which objects turned out otherwise than they began, once with that knowledge.
 */
import { AGAIN, Builder } from './build';
import { ByteArray, FrozenSet, PyDict } from './containers';
import { isDeeperThan, MAX_DEPTH } from './depth';
import type { PickleError } from './errors';
import { Global } from './global';
import { GlobalReader } from './globals';
import { Input, type SlicingBuffer } from './input';
import type { ReaderOptions, StringEncoding } from './interfaces';
import { Memo } from './memo';
import { currentName } from './names';
import { FLOAT_NOTE, Notes } from './notes';
import { decodeLong } from './numbers';
import { define } from './shapes';
import { isUtc, putUtc, TIMEZONE } from './utc';
import { PyTimezone } from './datetime';
import { StringReader } from './strings';
import { WriteAs } from './write-as';
import { decode8Bit, isTextOpcode, parseQuoted, readTextOpcode } from './text-opcodes';

const EMPTY_TUPLE: readonly unknown[] = Object.freeze([]);
/** In places of the stack that hold nothing. */
const CLEARED: unique symbol = Symbol('cleared');
const NO_COLUMNS: unknown[] = [];
const EMPTY_BYTES = Buffer.alloc(0);
const COST_BYTES = 100;
const COST_LIST = 32;

/** Options between this floor and the record floor. */
export interface InternalReaderOptions extends ReaderOptions {
  /**
   * Called instead of `persistentLoad` for the persistent ids `bytes` and `(bytes, class)` where the bytes are 8 and stand at
   * `offset` of `input`: the usual references of a database, for which nothing need be made.
   */
  persistentLoad8?: ((input: Uint8Array, offset: number, cls: Global | undefined) => unknown) | undefined;
  /** Called when a pickle is read again from its start; see the head of this file. */
  restart?: (() => void) | undefined;
  /** Replace Python 2's names for what Python 3 calls otherwise, below protocol 3. */
  fixNames?: boolean | undefined;
}

/** Reads one pickle after another from an input. The memo lasts until the next {@link open}. */
export class PickleReader {
  readonly #builder: Builder;
  readonly #strings = new StringReader();
  readonly #globals = new GlobalReader();
  readonly #memo = new Memo();
  readonly #notes = new Notes();
  readonly #encoding: StringEncoding;
  readonly #extensions: ReaderOptions['extensions'];
  readonly #maxDepth: number;
  readonly #persistentLoad: ((pid: unknown) => unknown) | undefined;
  readonly #persistentLoad8: InternalReaderOptions['persistentLoad8'];
  readonly #fixNames: boolean;
  readonly #restart: (() => void) | undefined;
  readonly #buffers: Iterator<Uint8Array> | undefined;
  #stack: unknown[] = [];
  #marks: number[] = [];
  readonly #input = new Input();
  #buf: SlicingBuffer = this.#input.buf;
  #end = 0;
  #pos = 0;
  #protocol = 0;
  #containers = 0;
  #reference: unknown = undefined;

  /** Whether {@link readColumns} wants the dict at the bottom of the stack as columns; what it got so far. */
  #wantColumns = false;
  /** How many columns the last {@link readColumns} filled; -1 when the value was no such dict. */
  columnCount = 0;
  readonly columnNames: string[] = [];
  /** The values; a new array for each dict, which the caller may keep. */
  columnValues: unknown[] = [];
  /** For each column, whether the pickle had a float. */
  readonly columnKinds: WriteAs[] = [];

  constructor(options: InternalReaderOptions = {}) {
    this.#builder = new Builder(options, options.unknown === 'broken');
    this.#encoding = options.encoding ?? 'ascii';
    this.#extensions = options.extensions;
    this.#maxDepth = Math.min(options.maxDepth ?? MAX_DEPTH, MAX_DEPTH);
    this.#persistentLoad = options.persistentLoad?.bind(options);
    this.#persistentLoad8 = options.persistentLoad8;
    this.#restart = options.restart;
    this.#fixNames = options.fixNames ?? false;
    this.#buffers = options.buffers?.[Symbol.iterator]();
  }

  /** Starts on `bytes` from `start` up to `end`; forgets the memo. */
  open(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const input = this.#input;
    input.open(bytes, start, end);
    this.#buf = input.buf;
    this.#pos = 0;
    this.#end = input.end;
    this.#memo.clear();
    this.#strings.open(input);
    this.#builder.open(input.buf, input.end);
  }

  /** Lets go of the input and of everything read. */
  close(): void {
    this.#memo.clear();
    this.#strings.close();
    this.#builder.close();
    this.#input.close();
    this.#buf = this.#input.buf;
    this.#end = 0;
    this.columnValues = NO_COLUMNS;
  }

  /** Ends the use of this reader, and lets the next one have its place for copies. */
  dispose(): void {
    this.close();
    this.#input.dispose();
  }

  /** Where the next pickle begins: the end of the last one. */
  get position(): number {
    return this.#pos + this.#input.origin;
  }

  /** The value of the next pickle. Throws {@link PickleError}. */
  read(): unknown {
    this.#wantColumns = false;
    return this.#readPasses();
  }

  /**
   * Reads the next pickle. If it is a dict whose keys are strings, puts it into `columnNames`, `columnValues` and
   * `columnKinds` (of which the next call overwrites all but the values), and gives `undefined`; else sets `columnCount` to -1 and gives the value
   * as {@link read}.
   */
  readColumns(): unknown {
    this.#wantColumns = true;
    this.columnCount = 0;
    this.columnValues = [];
    return this.#readPasses();
  }

  #readPasses(): unknown {
    const start = this.#pos;
    const columns = this.#wantColumns;
    // A second pass must start from the memo that this pickle found.
    const farBefore = this.#memo.copyOfFar();
    const size = this.#memo.size;
    const gaps = this.#memo.gaps;
    for (;;) {
      try {
        const value = this.#run();
        if (!this.#builder.learning) {
          if (columns && !this.#wantColumns) this.columnCount = -1;
          if (this.#containers > this.#maxDepth) this.#checkDepth(value);
          return value;
        }
      } catch (error) {
        if (error !== AGAIN) throw error;
      } finally {
        this.#clearStack();
      }
      this.#builder.again(this.#end);
      this.#restart?.();
      this.#pos = start;
      this.#memo.rewind(size, gaps, farBefore);
      this.#wantColumns = columns;
      this.columnCount = 0;
      this.columnValues = [];
    }
  }

  #clearStack(): void {
    this.#notes.clear();
    const stack = this.#stack;
    if (stack.length > 2048) this.#stack = [];
    // Every place up to the highest one used was written since it was cleared.
    else for (let i = 0; i < stack.length && stack[i] !== CLEARED; i++) stack[i] = CLEARED;
  }

  #checkDepth(value: unknown): void {
    const roots = this.#wantColumns && value === undefined ? this.columnValues : value;
    if (isDeeperThan(roots, this.#maxDepth)) {
      throw this.#error(`Values are nested more than ${this.#maxDepth} deep`, this.#pos - 1);
    }
  }

  #error(message: string, at: number): PickleError {
    this.#builder.at = at;
    return this.#builder.error(message);
  }

  #truncated(at: number): PickleError {
    return this.#error('The pickle ends in the middle', at);
  }

  #underflow(at: number): PickleError {
    return this.#error('The opcode takes more from the stack than there is', at);
  }

  /** Makes what is noted on the stack from `from` up: dicts that stayed empty. */
  #settle(from: number): void {
    const notes = this.#notes;
    while (notes.top >= from) {
      const n = notes.count - 1;
      if (notes.offsets[n] !== FLOAT_NOTE) this.#settleDict(n);
      notes.pop();
    }
  }

  #settleDict(n: number): void {
    const notes = this.#notes;
    const place = notes.places[n]!;
    this.#builder.charge(24);
    const dict = this.#builder.emptyDict(notes.offsets[n]!);
    if (place === 0 && this.#wantColumns) {
      this.#wantColumns = false;
      for (let i = 0; i < this.columnCount; i++) {
        if (dict instanceof PyDict) dict.set(this.columnNames[i], this.columnValues[i]);
        else define(dict, this.columnNames[i]!, this.columnValues[i]);
      }
    }
    this.#stack[place] = dict;
    if (notes.memos[n]! >= 0) this.#memo.put(notes.memos[n]!, dict);
  }

  #get(index: number, at: number): unknown {
    let value = this.#memo.find(index, this.#buf);
    if (value === undefined) {
      const n = this.#notes.withMemo(index);
      if (n < 0) throw this.#error(`The memo has no entry ${index}`, at);
      this.#settleDict(n);
      this.#notes.remove(n);
      value = this.#memo.get(index);
    }
    return Memo.unwrap(value);
  }

  #put(index: number, sp: number): void {
    const notes = this.#notes;
    const place = sp - 1;
    if (notes.top === place && notes.offsets[notes.count - 1] !== FLOAT_NOTE) {
      if (notes.memos[notes.count - 1] === -1) {
        notes.memos[notes.count - 1] = index;
        this.#memo.reserve(index);
        return;
      }
      this.#settle(place);
    }
    this.#memo.put(index, this.#stack[place]);
  }

  /** Pairs on the stack from `first` to `end` go into the dict at `target`. */
  #setPairs(target: number, first: number, end: number): void {
    const notes = this.#notes;
    if (target === 0 && this.#wantColumns && notes.count > 0 && notes.places[0] === 0) {
      if (this.#addColumns(first, end)) return;
      this.#settle(first);
      this.#settleDict(0);
      notes.pop();
    }
    if (notes.top >= first) this.#settle(first);
    const stack = this.#stack;
    if (notes.top === target && notes.offsets[notes.count - 1] !== FLOAT_NOTE) {
      const n = notes.count - 1;
      const offset = notes.offsets[n]!;
      if (this.#builder.isPyDict(offset)) {
        this.#settle(target);
      } else {
        const dict = this.#builder.dict(stack, first, end, offset);
        stack[target] = dict;
        const memo = notes.memos[n]!;
        if (memo >= 0) this.#memo.put(memo, dict);
        notes.pop();
        return;
      }
    }
    this.#builder.setPairs(stack[target], stack, first, end);
  }

  #addColumns(first: number, end: number): boolean {
    const stack = this.#stack;
    for (let i = first; i < end; i += 2) if (typeof stack[i] !== 'string') return false;
    const notes = this.#notes;
    const values = this.columnValues;
    let count = this.columnCount;
    // Notes above the dict's own are about this part: floats, and dicts that stayed empty.
    let n = 1;
    for (let i = first; i < end; i += 2) {
      let isFloat = false;
      while (n < notes.count && notes.places[n]! <= i + 1) {
        if (notes.places[n] === i + 1) {
          if (notes.offsets[n] === FLOAT_NOTE) isFloat = true;
          else this.#settleDict(n);
        }
        n++;
      }
      const value = stack[i + 1];
      this.columnNames[count] = stack[i] as string;
      values.push(value);
      this.columnKinds[count] =
        isFloat || (typeof value === 'number' && !Number.isInteger(value)) ? WriteAs.float : WriteAs.auto;
      count++;
    }
    this.columnCount = count;
    while (notes.count > 1) notes.pop();
    return true;
  }

  #text(start: number, end: number, at: number): string {
    const text = this.#strings.value(start, end);
    if (text === undefined) throw this.#error('A string is no UTF-8', at);
    return text;
  }

  #global(at: number, start: number): Global {
    const global = this.#globals.read(this.#input, start);
    if (global === undefined) throw this.#error('A global name does not end or is no UTF-8', at);
    return this.#admit(global, at);
  }

  #admit(global: Global, at: number): Global {
    this.#builder.at = at;
    return this.#builder.admit(this.#fixNames && this.#protocol < 3 ? currentName(global) : global);
  }

  #persistent(pid: unknown, at: number): unknown {
    if (this.#persistentLoad === undefined) {
      throw this.#error(
        'The pickle refers to another object by a persistent id, and no persistentLoad is given',
        at,
      );
    }
    return this.#persistentLoad(pid);
  }

  #extension(code: number, at: number): Global {
    const name = this.#extensions?.get(code);
    if (name === undefined) throw this.#error(`The extension code ${code} is not in \`extensions\``, at);
    return this.#admit(Global.of(name[0], name[1]), at);
  }

  #nextBuffer(at: number): Uint8Array {
    const next = this.#buffers?.next();
    if (next === undefined || next.done === true) {
      throw this.#error('The pickle takes a buffer out of band, and `buffers` gives none', at);
    }
    return next.value;
  }

  #size64(pos: number, at: number): number {
    if (pos + 8 > this.#end) throw this.#truncated(at);
    const size = this.#buf.readUInt32LE(pos) + this.#buf.readUInt32LE(pos + 4) * 0x1_0000_0000;
    if (size > this.#end - pos - 8) throw this.#error(`${size} bytes are announced, more than there are`, at);
    return size;
  }

  #size32(pos: number, at: number): number {
    if (pos + 4 > this.#end) throw this.#truncated(at);
    const size = this.#input.view.getUint32(pos, true);
    if (size > this.#end - pos - 4) throw this.#error(`${size} bytes are announced, more than there are`, at);
    return size;
  }

  #bytes(start: number, size: number): Buffer {
    if (size === 0) return EMPTY_BYTES;
    this.#builder.charge(COST_BYTES);
    const copy = size > 1024 ? Buffer.allocUnsafeSlow(size) : Buffer.allocUnsafe(size);
    if (size < 24) for (let i = 0; i < size; i++) copy[i] = this.#buf[start + i]!;
    else this.#buf.copy(copy, 0, start, start + size);
    return copy;
  }

  #string8(start: number, size: number, at: number): string | Buffer {
    const value = decode8Bit(this.#buf.subarray(start, start + size), this.#encoding);
    if (value === undefined) {
      throw this.#error(`An 8-bit string is not ${this.#encoding}; see the option \`encoding\``, at);
    }
    return value;
  }

  /**
   * Whether 8 bytes at `start` are, by the opcodes that follow, a persistent id `oid` or `(oid, class)`. Then moves on behind
   * them, and `#reference` is what they stand for.
   */
  #isShortReference(start: number, at: number): boolean {
    const buf = this.#buf;
    const memo = this.#memo;
    let p = start + 8;
    let oidMemo = -1;
    if (buf[p] === 0x71) {
      oidMemo = buf[p + 1]!;
      p += 2;
    } else if (buf[p] === 0x72 && p + 5 < this.#end) {
      oidMemo = buf.readUInt32LE(p + 1);
      p += 5;
    }
    let cls: unknown = undefined;
    let clsMemo = -1;
    let pairMemo = -1;
    let code = buf[p];
    if (code !== 0x51) {
      if (code === 0x68) {
        cls = memo.get(buf[p + 1]!);
        p += 2;
      } else if (code === 0x6a && p + 5 < this.#end) {
        cls = memo.get(buf.readUInt32LE(p + 1));
        p += 5;
      } else if (code === 0x63) {
        cls = this.#global(at, p + 1);
        p = this.#globals.end;
        if (buf[p] === 0x71) {
          clsMemo = buf[p + 1]!;
          p += 2;
        } else if (buf[p] === 0x72 && p + 5 < this.#end) {
          clsMemo = buf.readUInt32LE(p + 1);
          p += 5;
        }
      }
      if (!(cls instanceof Global) || buf[p++] !== 0x86) return false;
      code = buf[p];
      if (code === 0x71) {
        pairMemo = buf[p + 1]!;
        p += 2;
      } else if (code === 0x72 && p + 5 < this.#end) {
        pairMemo = buf.readUInt32LE(p + 1);
        p += 5;
      }
      if (buf[p] !== 0x51) return false;
    }
    if (p >= this.#end) return false;
    if (oidMemo >= 0) memo.reserve8(oidMemo, start);
    if (clsMemo >= 0) memo.put(clsMemo, cls);
    if (pairMemo >= 0) memo.reserve8(pairMemo, start, cls);
    this.#pos = p + 1;
    this.#reference = this.#persistentLoad8!(buf, start, cls as Global | undefined);
    return true;
  }

  #run(): unknown {
    const buf = this.#buf;
    const end = this.#end;
    const memo = this.#memo;
    const notes = this.#notes;
    const strings = this.#strings;
    const view = this.#input.view;
    const builder = this.#builder;
    const stack = this.#stack;
    const marks = this.#marks;
    let pos = this.#pos;
    let sp = 0;
    let markCount = 0;
    // The lowest place that opcodes may take from: above the last mark.
    let fence = 0;
    let containers = 0;
    this.#protocol = 0;

    for (;;) {
      const at = pos;
      if (pos >= end) throw this.#truncated(at);
      switch (buf[pos++]) {
        case 0x71: {
          // BINPUT
          if (pos >= end) throw this.#truncated(at);
          const index = buf[pos++]!;
          if (sp <= fence) throw this.#underflow(at);
          if (notes.top === sp - 1) this.#put(index, sp);
          else memo.put(index, stack[sp - 1]);
          break;
        }
        case 0x58: {
          // BINUNICODE
          const size = this.#size32(pos, at);
          const start = pos + 4;
          pos = start + size;
          // In a dict's part of the stack every other value is a key.
          const isKey = (((sp - fence) & 1) === 0 && notes.top >= 0) || notes.top === sp - 1;
          const text = isKey ? strings.key(start, pos) : strings.value(start, pos);
          if (text === undefined) throw this.#error('A string is no UTF-8', at);
          stack[sp++] = text;
          // Nearly every string is followed by its number in the memo.
          if (buf[pos] === 0x71 && pos + 1 < end) {
            memo.put(buf[pos + 1]!, text);
            pos += 2;
          }
          break;
        }
        case 0x4b: // BININT1
          if (pos >= end) throw this.#truncated(at);
          stack[sp++] = buf[pos++];
          break;
        case 0x4d: // BININT2
          if (pos + 2 > end) throw this.#truncated(at);
          stack[sp++] = buf[pos]! | (buf[pos + 1]! << 8);
          pos += 2;
          break;
        case 0x4a: // BININT
          if (pos + 4 > end) throw this.#truncated(at);
          stack[sp++] = view.getInt32(pos, true);
          pos += 4;
          break;
        case 0x68: {
          // BINGET
          if (pos >= end) throw this.#truncated(at);
          const value = memo.get(buf[pos++]!);
          stack[sp] = value === undefined || Memo.isWrapped(value) ? this.#get(buf[pos - 1]!, at) : value;
          sp++;
          break;
        }
        case 0x28: // MARK
          marks[markCount++] = sp;
          fence = sp;
          break;
        case 0x47: {
          // BINFLOAT
          if (pos + 8 > end) throw this.#truncated(at);
          const value = view.getFloat64(pos);
          if (Number.isInteger(value)) notes.push(sp, FLOAT_NOTE);
          stack[sp++] = value;
          pos += 8;
          break;
        }
        case 0x4e: // NONE
          stack[sp++] = null;
          break;
        case 0x88: // NEWTRUE
          stack[sp++] = true;
          break;
        case 0x89: // NEWFALSE
          stack[sp++] = false;
          break;
        case 0x7d: // EMPTY_DICT
          containers++;
          notes.push(sp, at);
          stack[sp++] = undefined;
          break;
        case 0x75: // SETITEMS
        case 0x73: {
          // SETITEM
          let first = sp - 2;
          if (buf[at] === 0x75) {
            if (markCount === 0) throw this.#error('There is no mark', at);
            first = marks[--markCount]!;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
            if (((sp - first) & 1) === 1) throw this.#error('A dict gets a key without a value', at);
          }
          if (first - 1 < fence) throw this.#underflow(at);
          if (sp > first) {
            builder.at = at;
            this.#setPairs(first - 1, first, sp);
          }
          sp = first;
          break;
        }
        case 0x5d: // EMPTY_LIST
          containers++;
          builder.charge(COST_LIST);
          stack[sp++] = [];
          break;
        case 0x65: // APPENDS
        case 0x61: {
          // APPEND
          let first = sp - 1;
          if (buf[at] === 0x65) {
            if (markCount === 0) throw this.#error('There is no mark', at);
            first = marks[--markCount]!;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
          }
          if (first - 1 < fence) throw this.#underflow(at);
          if (notes.top >= first - 1) this.#settle(first - 1);
          builder.at = at;
          builder.append(stack[first - 1], stack, first, sp);
          sp = first;
          break;
        }
        case 0x29: // EMPTY_TUPLE
          stack[sp++] = EMPTY_TUPLE;
          break;
        case 0x85: // TUPLE1
        case 0x86: // TUPLE2
        case 0x87: // TUPLE3
        case 0x74: {
          // TUPLE
          let first = sp - (buf[at]! - 0x84);
          if (buf[at] === 0x74) {
            if (markCount === 0) throw this.#error('There is no mark', at);
            first = marks[--markCount]!;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
          }
          if (first < fence) throw this.#underflow(at);
          if (notes.top >= first) this.#settle(first);
          containers++;
          builder.at = at;
          builder.charge(48 + 8 * (sp - first));
          stack[first] = first === sp ? EMPTY_TUPLE : Object.freeze(stack.slice(first, sp));
          sp = first + 1;
          break;
        }
        case 0x51: // BINPERSID
          if (sp <= fence) throw this.#underflow(at);
          if (notes.top >= sp - 1) this.#settle(sp - 1);
          stack[sp - 1] = this.#persistent(stack[sp - 1], at);
          break;
        case 0x43: {
          // SHORT_BINBYTES
          if (pos >= end) throw this.#truncated(at);
          const size = buf[pos++]!;
          if (size > end - pos) throw this.#error(`${size} bytes are announced, more than there are`, at);
          if (size === 8 && this.#persistentLoad8 !== undefined && this.#isShortReference(pos, at)) {
            pos = this.#pos;
            stack[sp++] = this.#reference;
            this.#reference = undefined;
            break;
          }
          builder.at = at;
          stack[sp++] = this.#bytes(pos, size);
          pos += size;
          break;
        }
        case 0x72: {
          // LONG_BINPUT
          if (pos + 4 > end) throw this.#truncated(at);
          const index = buf.readUInt32LE(pos);
          pos += 4;
          if (sp <= fence) throw this.#underflow(at);
          if (notes.top === sp - 1) this.#put(index, sp);
          else memo.put(index, stack[sp - 1]);
          break;
        }
        case 0x6a: {
          // LONG_BINGET
          if (pos + 4 > end) throw this.#truncated(at);
          const index = buf.readUInt32LE(pos);
          pos += 4;
          const value = memo.get(index);
          stack[sp] = value === undefined || Memo.isWrapped(value) ? this.#get(index, at) : value;
          sp++;
          break;
        }
        case 0x63: // GLOBAL
          stack[sp] = this.#global(at, pos);
          pos = this.#globals.end;
          if (stack[sp] === TIMEZONE && isUtc(buf, pos, end)) {
            stack[sp] = PyTimezone.utc;
            pos = putUtc(buf, pos, memo);
          }
          sp++;
          break;
        case 0x2e: // STOP
          if (sp <= fence || markCount > 0) throw this.#underflow(at);
          this.#containers = containers;
          this.#pos = pos;
          if (this.#wantColumns) {
            if (sp === 1 && notes.count > 0 && notes.places[0] === 0 && notes.offsets[0] !== FLOAT_NOTE)
              return undefined;
            this.#wantColumns = false;
          }
          if (notes.top >= sp - 1) this.#settle(sp - 1);
          return stack[sp - 1];
        case 0x80: // PROTO
          if (pos >= end) throw this.#truncated(at);
          this.#protocol = buf[pos++]!;
          if (this.#protocol > 5)
            throw this.#error(`The pickle's protocol is ${this.#protocol}; 0 to 5 exist`, at);
          break;
        case 0x52: // REDUCE
        case 0x81: {
          // NEWOBJ
          if (sp - 2 < fence) throw this.#underflow(at);
          if (notes.top >= sp - 2) this.#settle(sp - 2);
          const args = stack[sp - 1];
          if (!Array.isArray(args)) throw this.#error('The arguments of a call are no tuple', at);
          containers++;
          builder.at = at;
          stack[sp - 2] = builder.construct(buf[at] === 0x52 ? 'call' : 'newobj', stack[sp - 2], args);
          sp--;
          break;
        }
        case 0x62: // BUILD
          if (sp - 2 < fence) throw this.#underflow(at);
          if (notes.top >= sp - 2) this.#settle(sp - 2);
          builder.at = at;
          builder.setState(stack[sp - 2], stack[sp - 1]);
          sp--;
          break;
        case 0x8a: {
          // LONG1
          if (pos >= end) throw this.#truncated(at);
          const size = buf[pos++]!;
          if (size > end - pos) throw this.#error(`${size} bytes are announced, more than there are`, at);
          stack[sp++] = decodeLong(buf, pos, size);
          pos += size;
          break;
        }
        case 0x42: {
          // BINBYTES
          const size = this.#size32(pos, at);
          builder.at = at;
          stack[sp++] = this.#bytes(pos + 4, size);
          pos += 4 + size;
          break;
        }
        case 0x30: // POP
          if (markCount > 0 && fence === sp) {
            markCount--;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
          } else {
            if (sp <= fence) throw this.#underflow(at);
            sp--;
            if (notes.top >= sp) this.#settle(sp);
          }
          break;
        case 0x31: // POP_MARK
          if (markCount === 0) throw this.#error('There is no mark', at);
          sp = marks[--markCount]!;
          fence = markCount > 0 ? marks[markCount - 1]! : 0;
          if (notes.top >= sp) this.#settle(sp);
          break;
        case 0x32: // DUP
          if (sp <= fence) throw this.#underflow(at);
          if (notes.top >= sp - 1) this.#settle(sp - 1);
          stack[sp] = stack[sp - 1];
          sp++;
          break;
        case 0x6c: // LIST
        case 0x64: // DICT
        case 0x91: // FROZENSET
        case 0x69: // INST
        case 0x6f: {
          // OBJ
          if (markCount === 0) throw this.#error('There is no mark', at);
          const first = marks[--markCount]!;
          fence = markCount > 0 ? marks[markCount - 1]! : 0;
          if (notes.top >= first) this.#settle(first);
          containers++;
          stack[first] = this.#fromMark(first, sp, pos, at);
          if (buf[at] === 0x69) pos = this.#globals.end;
          sp = first + 1;
          break;
        }
        case 0x8c: {
          // SHORT_BINUNICODE
          if (pos >= end) throw this.#truncated(at);
          const size = buf[pos++]!;
          if (size > end - pos) throw this.#error(`${size} bytes are announced, more than there are`, at);
          const isKey = (((sp - fence) & 1) === 0 && notes.top >= 0) || notes.top === sp - 1;
          const text = isKey ? strings.key(pos, pos + size) : strings.value(pos, pos + size);
          if (text === undefined) throw this.#error('A string is no UTF-8', at);
          stack[sp++] = text;
          pos += size;
          break;
        }
        case 0x94: {
          // MEMOIZE
          if (sp <= fence) throw this.#underflow(at);
          if (notes.top === sp - 1) this.#put(memo.count, sp);
          else memo.put(memo.count, stack[sp - 1]);
          break;
        }
        case 0x95: // FRAME
          this.#size64(pos, at);
          pos += 8;
          break;
        case 0x93: {
          // STACK_GLOBAL
          if (sp - 2 < fence) throw this.#underflow(at);
          const module = stack[sp - 2];
          const name = stack[sp - 1];
          if (typeof module !== 'string' || typeof name !== 'string') {
            throw this.#error('A global is named by something other than strings', at);
          }
          stack[--sp - 1] = this.#admit(Global.of(module, name), at);
          break;
        }
        case 0x8f: // EMPTY_SET
          containers++;
          builder.at = at;
          builder.charge(200);
          stack[sp++] = new Set();
          break;
        case 0x90: {
          // ADDITEMS
          if (markCount === 0) throw this.#error('There is no mark', at);
          const first = marks[--markCount]!;
          fence = markCount > 0 ? marks[markCount - 1]! : 0;
          if (first - 1 < fence) throw this.#underflow(at);
          if (notes.top >= first - 1) this.#settle(first - 1);
          builder.at = at;
          builder.add(stack[first - 1], stack, first, sp);
          sp = first;
          break;
        }
        case 0x92: {
          // NEWOBJ_EX
          if (sp - 3 < fence) throw this.#underflow(at);
          if (notes.top >= sp - 3) this.#settle(sp - 3);
          containers++;
          stack[sp - 3] = this.#newWithKeywords(stack[sp - 3], stack[sp - 2], stack[sp - 1], at);
          sp -= 2;
          break;
        }
        case 0x98: // READONLY_BUFFER
          if (sp <= fence) throw this.#underflow(at);
          break;
        case 0x97: // NEXT_BUFFER
          stack[sp++] = this.#nextBuffer(at);
          break;
        default: {
          // Everything else stands alone: it takes nothing from the stack and pushes one value, or does nothing to it.
          this.#pos = pos;
          const code = buf[at]!;
          if (code === 0x70) {
            // PUT
            const index = this.#line(at);
            if (sp <= fence) throw this.#underflow(at);
            if (!/^\d{1,9}$/.test(index)) throw this.#error('A memo number is no number', at);
            if (notes.top === sp - 1) this.#put(Number(index), sp);
            else memo.put(Number(index), stack[sp - 1]);
          } else if (code === 0x67) {
            // GET
            const index = this.#line(at);
            if (!/^\d{1,9}$/.test(index)) throw this.#error('A memo number is no number', at);
            const value = memo.get(Number(index));
            stack[sp++] = value === undefined || Memo.isWrapped(value) ? this.#get(Number(index), at) : value;
          } else {
            const value = this.#single(code, at);
            if (typeof value === 'number' && code === 0x46 && Number.isInteger(value))
              notes.push(sp, FLOAT_NOTE);
            stack[sp++] = value;
          }
          pos = this.#pos;
        }
      }
    }
  }

  /** LIST, DICT, FROZENSET, INST and OBJ: what lies above a mark becomes one object. */
  #fromMark(first: number, sp: number, pos: number, at: number): unknown {
    const builder = this.#builder;
    const stack = this.#stack;
    builder.at = at;
    builder.charge(COST_LIST + 8 * (sp - first));
    switch (this.#buf[at]) {
      case 0x6c: // LIST
        return stack.slice(first, sp);
      case 0x64: // DICT
        if (sp === first) return builder.emptyDict(at);
        if (((sp - first) & 1) === 1) throw this.#error('A dict gets a key without a value', at);
        return builder.dict(stack, first, sp, at);
      case 0x91: // FROZENSET
        builder.charge(200 + 40 * (sp - first));
        return new FrozenSet(stack.slice(first, sp));
      case 0x69: {
        // INST
        const cls = this.#global(at, pos);
        return builder.construct(sp > first ? 'call' : 'newobj', cls, Object.freeze(stack.slice(first, sp)));
      }
      default: // OBJ
        if (sp === first) throw this.#underflow(at);
        return builder.construct(
          sp - first > 1 ? 'call' : 'newobj',
          stack[first],
          Object.freeze(stack.slice(first + 1, sp)),
        );
    }
  }

  #newWithKeywords(cls: unknown, args: unknown, kwargs: unknown, at: number): unknown {
    if (!Array.isArray(args) || typeof kwargs !== 'object' || kwargs === null || Array.isArray(kwargs)) {
      throw this.#error('The arguments of a call are no tuple and dict', at);
    }
    if (kwargs instanceof Map && kwargs.size > 0)
      throw this.#error('A keyword argument has no string for a name', at);
    const pairs = Object.entries(kwargs);
    this.#builder.at = at;
    return this.#builder.construct('newobj', cls, args, pairs.length > 0 ? pairs : undefined);
  }

  /** The rest of the line at the position, as latin-1; moves behind it. */
  #line(at: number): string {
    const newline = this.#buf.indexOf(0x0a, this.#pos);
    if (newline === -1 || newline >= this.#end) throw this.#truncated(at);
    const line = this.#buf.latin1Slice(this.#pos, newline);
    this.#pos = newline + 1;
    return line;
  }

  /** The value of an opcode that needs nothing from the stack; moves behind its argument. */
  #single(code: number, at: number): unknown {
    const pos = this.#pos;
    const take = (size: number): number => {
      if (size > this.#end - pos) throw this.#truncated(at);
      this.#pos = pos + size;
      return pos;
    };
    const buf = this.#buf;
    this.#builder.at = at;
    switch (code) {
      case 0x8b: {
        // LONG4
        const size = this.#size32(pos, at);
        this.#pos = pos + 4 + size;
        return decodeLong(buf, pos + 4, size);
      }
      case 0x55: {
        // SHORT_BINSTRING
        const size = buf[take(1)]!;
        take(1 + size);
        return this.#string8(pos + 1, size, at);
      }
      case 0x54: {
        // BINSTRING
        const size = this.#size32(pos, at);
        this.#pos = pos + 4 + size;
        return this.#string8(pos + 4, size, at);
      }
      case 0x8d: {
        // BINUNICODE8
        const size = this.#size64(pos, at);
        this.#pos = pos + 8 + size;
        return this.#text(pos + 8, pos + 8 + size, at);
      }
      case 0x8e: // BINBYTES8
      case 0x96: {
        // BYTEARRAY8
        const size = this.#size64(pos, at);
        this.#pos = pos + 8 + size;
        if (code === 0x8e) return this.#bytes(pos + 8, size);
        this.#builder.charge(COST_BYTES);
        return ByteArray.from(buf.subarray(pos + 8, pos + 8 + size));
      }
      case 0x82: // EXT1
        return this.#extension(buf[take(1)]!, at);
      case 0x83: // EXT2
        return this.#extension(buf.readUInt16LE(take(2)), at);
      case 0x84: // EXT4
        return this.#extension(buf.readInt32LE(take(4)), at);
      case 0x50: // PERSID
        return this.#persistent(this.#line(at), at);
      default:
        return this.#textValue(code, at);
    }
  }

  #textValue(code: number, at: number): unknown {
    if (!isTextOpcode(code)) throw this.#error('There is no such opcode', at);
    const line = this.#line(at);
    if (code === 0x53) {
      // STRING
      const bytes = parseQuoted(line);
      if (bytes === undefined)
        throw this.#error('The text of a string is not in quotes, or has a bad escape', at);
      const value = decode8Bit(bytes, this.#encoding);
      if (value === undefined) {
        throw this.#error(`An 8-bit string is not ${this.#encoding}; see the option \`encoding\``, at);
      }
      return value;
    }
    const value = readTextOpcode(code, line);
    if (value === undefined)
      throw this.#error(`${JSON.stringify(line.slice(0, 40))} is not what the opcode takes`, at);
    return value;
  }
}
