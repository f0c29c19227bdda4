/**
 * Reads the pickles of the wire: the value opcodes of protocols 0 … 5 and the memo. Python's own peers use no memo, but a
 * decoder has to accept it (`ZEO/src/ZEO/asyncio/marshal.py`).
 *
 * Nothing is executed. Classes come out as inert {@link WireObject}s, and only those that {@link DecodeLimits.allowed} lets through.
 * Declared lengths are checked against what is left before anything is allocated, and the number of containers is bounded.
 */
import { ZeoProtocolError } from '../errors';
import { itemsOf, WireFloat, WireObject, WireTuple, type WireValue } from './values';

/** What a peer's message may hold. */
export interface DecodeLimits {
  /** The most tuples, lists, dicts and objects in one message. */
  readonly containers: number;
  /** Whether a class may be named. */
  allowed(module: string, name: string): boolean;
}

const MARK = Symbol('mark');
type Slot = WireValue | typeof MARK;

/** Reads one pickle that fills `bytes`. Byte strings are views of it. Throws {@link ZeoProtocolError}. */
export function readPickle(bytes: Buffer, limits: DecodeLimits): WireValue {
  return new PickleReader(bytes, limits).read();
}

class PickleReader {
  private at = 0;
  private readonly stack: Slot[] = [];
  private readonly marks: number[] = [];
  private memo: Map<number, WireValue> | undefined;
  private containers = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly limits: DecodeLimits,
  ) {}

  read(): WireValue {
    for (;;) {
      const op = this.byte();
      if (op === 0x2e) break;
      this.step(op);
    }
    if (this.at !== this.bytes.length) this.fail('bytes follow its end');
    if (this.stack.length !== 1) this.fail('it does not hold exactly one value');
    return this.pop();
  }

  private step(op: number): void {
    switch (op) {
      case 0x43: // SHORT_BINBYTES
        return this.push(this.slice(this.byte()));
      case 0x4b: // BININT1
        return this.push(this.byte());
      case 0x28: // MARK
        this.marks.push(this.stack.length);
        return;
      case 0x85: // TUPLE1 … TUPLE3
      case 0x86:
      case 0x87:
        return this.push(new WireTuple(this.popMany(op - 0x84)));
      case 0x74: // TUPLE
        return this.push(new WireTuple(this.popMark()));
      case 0x29: // EMPTY_TUPLE
        this.count();
        return this.push(new WireTuple([]));
      case 0x4e: // NONE
        return this.push(null);
      case 0x88: // NEWTRUE, NEWFALSE
      case 0x89:
        return this.push(op === 0x88);
      case 0x58: // BINUNICODE
        return this.push(this.text(this.size4()));
      case 0x42: // BINBYTES
        return this.push(this.slice(this.size4()));
      case 0x4d: // BININT2
        return this.push(this.slice(2).readUInt16LE(0));
      case 0x4a: // BININT
        return this.push(this.slice(4).readInt32LE(0));
      case 0x8a: // LONG1
        return this.push(readLong(this.slice(this.byte())));
      case 0x47: // BINFLOAT
        return this.push(new WireFloat(this.slice(8).readDoubleBE(0)));
      case 0x80: // PROTO
        if (this.byte() > 5) this.fail('its pickle protocol is unknown');
        return;
      default:
        return this.stepContainer(op);
    }
  }

  private stepContainer(op: number): void {
    switch (op) {
      case 0x5d: // EMPTY_LIST
        this.count();
        return this.push([]);
      case 0x7d: // EMPTY_DICT
        this.count();
        return this.push(new Map<WireValue, WireValue>());
      case 0x61: // APPEND
        return this.append(this.popMany(1));
      case 0x65: // APPENDS
        return this.append(this.popMark());
      case 0x73: // SETITEM
        return this.setItems(this.popMany(2));
      case 0x75: // SETITEMS
        return this.setItems(this.popMark());
      case 0x6c: // LIST
        return this.push([...this.popMark()]);
      case 0x64: {
        // DICT
        const items = this.popMark();
        this.push(new Map<WireValue, WireValue>());
        return this.setItems(items);
      }
      case 0x8c: // SHORT_BINUNICODE
        return this.push(this.text(this.byte()));
      case 0x95: // FRAME
        this.slice(8);
        return;
      default:
        return this.stepMemo(op);
    }
  }

  private stepMemo(op: number): void {
    switch (op) {
      case 0x71: // BINPUT
        return this.remember(this.byte());
      case 0x72: // LONG_BINPUT
        return this.remember(this.size4());
      case 0x94: // MEMOIZE
        return this.remember(this.memo?.size ?? 0);
      case 0x70: // PUT
        return this.remember(Number(this.line()));
      case 0x68: // BINGET
        return this.recall(this.byte());
      case 0x6a: // LONG_BINGET
        return this.recall(this.size4());
      case 0x67: // GET
        return this.recall(Number(this.line()));
      case 0x30: // POP
        this.stack.pop();
        return;
      default:
        return this.stepObject(op);
    }
  }

  private stepObject(op: number): void {
    switch (op) {
      case 0x63: {
        // GLOBAL
        const module = this.line();
        return this.global(module, this.line());
      }
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') this.fail('a class name is no string');
        return this.global(module as string, name as string);
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const [made, args] = this.popMany(2);
        if (!(made instanceof WireObject)) return this.fail('it calls what is no class');
        return this.push(asDict(made, args) ?? new WireObject(made.module, made.name, args ?? null));
      }
      case 0x62: {
        // BUILD
        const [state] = this.popMany(1);
        const target = this.stack.at(-1);
        if (!(target instanceof WireObject)) return this.fail('it gives state to what is no object');
        target.state = state;
        return;
      }
      default:
        return this.fail(`the opcode 0x${op.toString(16)} is not part of the protocol`);
    }
  }

  private global(module: string, name: string): void {
    if (!this.limits.allowed(module, name)) this.fail(`it names the class ${module}.${name}`);
    this.count();
    this.push(new WireObject(module, name));
  }

  private append(items: readonly WireValue[]): void {
    const target = this.stack.at(-1);
    if (!Array.isArray(target)) this.fail('it appends to what is no list');
    for (const item of items) (target as WireValue[]).push(item);
  }

  private setItems(items: readonly WireValue[]): void {
    const target = this.stack.at(-1);
    if (!(target instanceof Map) || items.length % 2) return this.fail('it sets items of what is no dict');
    for (let i = 0; i < items.length; i += 2) {
      (target as Map<WireValue, WireValue>).set(items[i]!, items[i + 1]!);
    }
  }

  private push(value: WireValue): void {
    this.stack.push(value);
  }

  private pop(): WireValue {
    return this.popMany(1)[0]!;
  }

  private popMany(count: number): WireValue[] {
    this.count();
    const from = this.stack.length - count;
    if (from < (this.marks.at(-1) ?? 0)) this.fail('it takes more values than it holds');
    return this.stack.splice(from) as WireValue[];
  }

  private popMark(): WireValue[] {
    this.count();
    const from = this.marks.pop();
    if (from === undefined || from > this.stack.length) return this.fail('a mark is missing');
    return this.stack.splice(from) as WireValue[];
  }

  private remember(key: number): void {
    const value = this.stack.at(-1);
    if (value === undefined || value === MARK) this.fail('it remembers nothing');
    if (!Number.isSafeInteger(key) || key < 0) this.fail('a memo key is no number');
    this.memo ??= new Map();
    this.memo.set(key, value as WireValue);
  }

  private recall(key: number): void {
    const value = this.memo?.get(key);
    if (value === undefined) this.fail('it recalls what it never remembered');
    this.push(value as WireValue);
  }

  private byte(): number {
    if (this.at >= this.bytes.length) this.fail('it is cut off');
    return this.bytes[this.at++]!;
  }

  private size4(): number {
    return this.slice(4).readUInt32LE(0);
  }

  private slice(count: number): Buffer {
    const end = this.at + count;
    if (end > this.bytes.length) this.fail('a declared length goes beyond its end');
    const out = this.bytes.subarray(this.at, end);
    this.at = end;
    return out;
  }

  private text(count: number): string {
    return this.slice(count).toString('utf8');
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) this.fail('a line has no end');
    const out = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return out;
  }

  private count(): void {
    if (++this.containers > this.limits.containers) {
      this.fail(`it holds more than ${this.limits.containers} containers`);
    }
  }

  private fail(why: string): never {
    throw new ZeoProtocolError(`The peer sent a pickle that can't be read: ${why} (byte ${this.at}).`);
  }
}

function readLong(bytes: Buffer): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  if (bytes.length > 0 && bytes[bytes.length - 1]! >= 0x80) value -= 1n << BigInt(bytes.length * 8);
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}

/** What subclasses of dict reduce to: `dict(((key, value), …))`. */
function asDict({ module, name }: WireObject, args: WireValue | undefined): WireValue | undefined {
  if (name !== 'dict' || !/^(builtins|__builtin__)$/.test(module)) return undefined;
  const pairs = itemsOf(itemsOf(args)?.[0] ?? []);
  const out = new Map<WireValue, WireValue>();
  for (const pair of pairs ?? []) {
    const [key, value] = itemsOf(pair) ?? [];
    if (key !== undefined) out.set(key, value ?? null);
  }
  return out;
}
