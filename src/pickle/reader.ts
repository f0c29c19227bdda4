/**
 * The pickle machine: a stack, a memo and one opcode after another (`Lib/pickletools.py` describes each). It makes
 * values only; nothing that a pickle names is looked up anywhere but in tables of built-in values and registered classes.
 *
 * A dict is not made before its first items are known, so that it can be a plain object of one generated literal, or
 * a `PyDict` when a key is no string. Until then its place on the stack is noted. If an object turns out to be of another
 * kind after it has been handed out (a dict in a cycle, or of more than 1,000 keys), the pickle is read again:
 * once to collect which objects turned out otherwise than they began, once with that knowledge.
 */
import { AGAIN } from './build';
import { isDeeperThan } from './depth';
import type { Global } from './global';
import type { PreparedNames } from './prepared-names';
import { ItemReader } from './expected-items';

export type { InternalReaderOptions } from './machine-state';

/** In places of the stack that hold nothing. */
const CLEARED: unique symbol = Symbol('cleared');
const NO_COLUMNS: unknown[] = [];

/** Reads one pickle after another from an input. The memo lasts until the next {@link open}. */
export class PickleReader extends ItemReader {
  #isOpen = false;

  /** Starts on `bytes` from `start` up to `end`; forgets the memo. */
  open(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const input = this.input;
    input.open(bytes, start, end);
    this.buf = input.buf;
    this.pos = 0;
    this.end = input.end;
    if (this.#isOpen) this.memo.clear();
    this.#isOpen = true;
    this.strings.open(input);
    this.builder.open(input.buf, input.end);
  }

  /** Lets go of the input and of everything read. */
  close(): void {
    this.#isOpen = false;
    this.memo.clear();
    this.strings.close();
    this.builder.close();
    this.input.close();
    this.buf = this.input.buf;
    this.end = 0;
    this.columnValues = NO_COLUMNS;
  }

  /** Ends the use of this reader, and lets the next one have its place for copies. */
  dispose(): void {
    this.close();
    this.input.dispose();
  }

  /** Where the next pickle begins: the end of the last one. */
  get position(): number {
    return this.pos + this.input.origin;
  }

  /** The value of the next pickle. Throws `PickleError`. */
  read(): unknown {
    this.wantColumns = false;
    return this.readPasses();
  }

  /**
   * The next pickle, if it is the first and nothing but a name with its number in the memo: how nearly every record begins.
   * `undefined` for any other, which is not read then. Throws `PickleError`.
   */
  readName(): Global | undefined {
    const { buf, globals } = this;
    if (buf[0] !== 0x80 || buf[1] !== 3 || buf[2] !== 0x63 || this.pos !== 0) return undefined;
    const global = globals.read(this.input, 3);
    const end = globals.end;
    if (global === undefined || end + 3 > this.end || buf[end] !== 0x71 || buf[end + 2] !== 0x2e)
      return undefined;
    this.protocol = 3;
    this.memo.put(buf[end + 1]!, this.admit(global, 2));
    this.pos = end + 3;
    return global;
  }

  /**
   * Reads the next pickle. If it is a dict whose keys are strings, puts it into `columnNames`, `columnValues` and
   * `columnKinds` (of which the next call overwrites all but the values), and gives `undefined`; else sets `columnCount` to -1 and gives the value
   * as {@link read}. If they are as `expected`, `asExpected` is true and nothing but the values is set.
   */
  readColumns(expected?: PreparedNames): unknown {
    this.wantColumns = true;
    this.columnCount = 0;
    this.columnValues = [];
    this.asExpected = false;
    return this.readPasses(expected);
  }

  protected readPasses(expected?: PreparedNames): unknown {
    const start = this.pos;
    const columns = this.wantColumns;
    let names = expected;
    // A second pass must start from the memo that this pickle found.
    const farBefore = this.memo.copyOfFar();
    const size = this.memo.size;
    const gaps = this.memo.gaps;
    for (;;) {
      try {
        if (names !== undefined) {
          if (this.readExpected(names)) return undefined;
          names = undefined;
        }
        const value = this.run();
        if (!this.builder.learning) {
          if (columns && !this.wantColumns) this.columnCount = -1;
          if (this.containers > this.maxDepth) this.checkDepth(value);
          return value;
        }
      } catch (error) {
        if (error !== AGAIN) throw error;
      } finally {
        this.clearStack();
      }
      this.builder.again(this.end);
      this.restart?.();
      this.pos = start;
      this.memo.rewind(size, gaps, farBefore);
      this.wantColumns = columns;
      this.columnCount = 0;
      this.columnValues = [];
    }
  }

  protected clearStack(): void {
    this.startPlace = this.startMarks = 0;
    this.notes.clear();
    const stack = this.stack;
    if (stack.length > 2048) this.stack = [];
    // Every place up to the highest one used was written since it was cleared.
    else for (let i = 0; i < stack.length && stack[i] !== CLEARED; i++) stack[i] = CLEARED;
  }

  protected checkDepth(value: unknown): void {
    const roots = this.wantColumns && value === undefined ? this.columnValues : value;
    if (isDeeperThan(roots, this.maxDepth)) {
      throw this.error(`Values are nested more than ${this.maxDepth} deep`, this.pos - 1);
    }
  }
}
