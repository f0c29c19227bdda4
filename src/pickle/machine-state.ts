/** The state of the pickle machine, and how dicts come to be in it; see `reader.ts`. */
import { Builder } from './build';
import { PyDict } from './containers';
import { MAX_DEPTH } from './depth';
import type { PickleError } from './errors';
import { Global } from './global';
import { GlobalReader } from './globals';
import { Input, type SlicingBuffer } from './input';
import type { ReaderOptions, StringEncoding } from './interfaces';
import { Memo } from './memo';
import { FLOAT_NOTE, Notes } from './notes';
import { define } from './shapes';
import { StringReader } from './strings';
import { WriteAs } from './write-as';

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

/** Stack, memo and what is noted about them; dicts as they come to be. */
export class MachineState {
  protected readonly builder: Builder;
  protected readonly strings = new StringReader();
  protected readonly globals = new GlobalReader();
  protected readonly memo = new Memo();
  protected readonly notes = new Notes();
  protected readonly encoding: StringEncoding;
  protected readonly extensions: ReaderOptions['extensions'];
  protected readonly maxDepth: number;
  protected readonly persistentLoad: ((pid: unknown) => unknown) | undefined;
  protected readonly persistentLoad8: InternalReaderOptions['persistentLoad8'];
  protected readonly fixNames: boolean;
  protected readonly restart: (() => void) | undefined;
  protected readonly buffers: Iterator<Uint8Array> | undefined;
  protected stack: unknown[] = [];
  protected marks: number[] = [];
  protected readonly input = new Input();
  protected buf: SlicingBuffer = this.input.buf;
  protected end = 0;
  protected pos = 0;
  protected protocol = 0;
  protected containers = 0;
  protected reference: unknown = undefined;

  /** How many places of the stack and how many marks the loop begins with. */
  protected startPlace = 0;
  protected startMarks = 0;

  /** Whether the last {@link readColumns} got what it expected. */
  asExpected = false;
  /** Whether {@link readColumns} wants the dict at the bottom of the stack as columns; what it got so far. */
  protected wantColumns = false;
  /** How many columns the last {@link readColumns} filled; -1 when the value was no such dict. */
  columnCount = 0;
  readonly columnNames: string[] = [];
  /** The values; a new array for each dict, which the caller may keep. */
  columnValues: unknown[] = [];
  /** For each column, whether the pickle had a float. */
  readonly columnKinds: WriteAs[] = [];

  constructor(options: InternalReaderOptions = {}) {
    this.builder = new Builder(options, options.unknown === 'broken');
    this.encoding = options.encoding ?? 'ascii';
    this.extensions = options.extensions;
    this.maxDepth = Math.min(options.maxDepth ?? MAX_DEPTH, MAX_DEPTH);
    this.persistentLoad = options.persistentLoad?.bind(options);
    this.persistentLoad8 = options.persistentLoad8;
    this.restart = options.restart;
    this.fixNames = options.fixNames ?? false;
    this.buffers = options.buffers?.[Symbol.iterator]();
  }

  protected error(message: string, at: number): PickleError {
    this.builder.at = at;
    return this.builder.error(message);
  }

  protected truncated(at: number): PickleError {
    return this.error('The pickle ends in the middle', at);
  }

  protected underflow(at: number): PickleError {
    return this.error('The opcode takes more from the stack than there is', at);
  }

  /** Makes what is noted on the stack from `from` up: dicts that stayed empty. */
  protected settle(from: number): void {
    const notes = this.notes;
    while (notes.top >= from) {
      const n = notes.count - 1;
      if (notes.offsets[n] !== FLOAT_NOTE) this.settleDict(n);
      notes.pop();
    }
  }

  protected settleDict(n: number): void {
    const notes = this.notes;
    const place = notes.places[n]!;
    this.builder.charge(24);
    const dict = this.builder.emptyDict(notes.offsets[n]!);
    if (place === 0 && this.wantColumns) {
      this.wantColumns = false;
      for (let i = 0; i < this.columnCount; i++) {
        if (dict instanceof PyDict) dict.set(this.columnNames[i], this.columnValues[i]);
        else define(dict, this.columnNames[i]!, this.columnValues[i]);
      }
    }
    this.stack[place] = dict;
    if (notes.memos[n]! >= 0) this.memo.put(notes.memos[n]!, dict);
  }

  protected get(index: number, at: number): unknown {
    let value = this.memo.find(index, this.buf, this.strings);
    if (value === undefined) {
      const n = this.notes.withMemo(index);
      if (n < 0) throw this.error(`The memo has no entry ${index}`, at);
      this.settleDict(n);
      this.notes.remove(n);
      value = this.memo.get(index);
    }
    return Memo.unwrap(value);
  }

  protected put(index: number, sp: number): void {
    const notes = this.notes;
    const place = sp - 1;
    if (notes.top === place && notes.offsets[notes.count - 1] !== FLOAT_NOTE) {
      if (notes.memos[notes.count - 1] === -1) {
        notes.memos[notes.count - 1] = index;
        this.memo.reserve(index);
        return;
      }
      this.settle(place);
    }
    this.memo.put(index, this.stack[place]);
  }

  /** Pairs on the stack from `first` to `end` go into the dict at `target`. */
  protected setPairs(target: number, first: number, end: number): void {
    const notes = this.notes;
    if (target === 0 && this.wantColumns && notes.count > 0 && notes.places[0] === 0) {
      if (this.addColumns(first, end)) return;
      this.settle(first);
      this.settleDict(0);
      notes.pop();
    }
    if (notes.top >= first) this.settle(first);
    const stack = this.stack;
    if (notes.top === target && notes.offsets[notes.count - 1] !== FLOAT_NOTE) {
      const n = notes.count - 1;
      const offset = notes.offsets[n]!;
      if (this.builder.isPyDict(offset)) {
        this.settle(target);
      } else {
        const dict = this.builder.dict(stack, first, end, offset);
        stack[target] = dict;
        const memo = notes.memos[n]!;
        if (memo >= 0) this.memo.put(memo, dict);
        notes.pop();
        return;
      }
    }
    this.builder.setPairs(stack[target], stack, first, end);
  }

  protected addColumns(first: number, end: number): boolean {
    const stack = this.stack;
    for (let i = first; i < end; i += 2) if (typeof stack[i] !== 'string') return false;
    const notes = this.notes;
    const values = this.columnValues;
    let count = this.columnCount;
    // Notes above the dict's own are about this part: floats, and dicts that stayed empty.
    let n = 1;
    for (let i = first; i < end; i += 2) {
      let isFloat = false;
      while (n < notes.count && notes.places[n]! <= i + 1) {
        if (notes.places[n] === i + 1) {
          if (notes.offsets[n] === FLOAT_NOTE) isFloat = true;
          else this.settleDict(n);
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
}
