/** The arguments of opcodes, and the opcodes that stand alone; see `reader.ts`. */
import { ByteArray, FrozenSet } from './containers';
import { Global } from './global';
import { currentName } from './names';
import { decodeLong } from './numbers';
import { decode8Bit, isTextOpcode, parseQuoted, readTextOpcode } from './text-opcodes';
import { MachineState } from './machine-state';

const EMPTY_BYTES = Buffer.alloc(0);
const COST_BYTES = 100;
const COST_LIST = 32;

/** What opcodes take from the input: sizes, strings, names, references, lines of text. */
export class ArgumentReader extends MachineState {
  protected text(start: number, end: number, at: number): string {
    const text = this.strings.value(start, end);
    if (text === undefined) throw this.error('A string is no UTF-8', at);
    return text;
  }

  protected global(at: number, start: number): Global {
    const global = this.globals.read(this.input, start);
    if (global === undefined) throw this.error('A global name does not end or is no UTF-8', at);
    return this.admit(global, at);
  }

  protected admit(global: Global, at: number): Global {
    this.builder.at = at;
    return this.builder.admit(this.fixNames && this.protocol < 3 ? currentName(global) : global);
  }

  protected stackGlobal(module: unknown, name: unknown, at: number): Global {
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw this.error('A global is named by something other than strings', at);
    }
    return this.admit(Global.of(module, name), at);
  }

  protected persistent(pid: unknown, at: number): unknown {
    if (this.persistentLoad === undefined) {
      throw this.error(
        'The pickle refers to another object by a persistent id, and no persistentLoad is given',
        at,
      );
    }
    return this.persistentLoad(pid);
  }

  protected extension(code: number, at: number): Global {
    const name = this.extensions?.get(code);
    if (name === undefined) throw this.error(`The extension code ${code} is not in \`extensions\``, at);
    return this.admit(Global.of(name[0], name[1]), at);
  }

  protected nextBuffer(at: number): Uint8Array {
    const next = this.buffers?.next();
    if (next === undefined || next.done === true) {
      throw this.error('The pickle takes a buffer out of band, and `buffers` gives none', at);
    }
    return next.value;
  }

  protected size64(pos: number, at: number): number {
    if (pos + 8 > this.end) throw this.truncated(at);
    const size = this.buf.readUInt32LE(pos) + this.buf.readUInt32LE(pos + 4) * 0x1_0000_0000;
    if (size > this.end - pos - 8) throw this.error(`${size} bytes are announced, more than there are`, at);
    return size;
  }

  protected size32(pos: number, at: number): number {
    if (pos + 4 > this.end) throw this.truncated(at);
    const size = this.input.view.getUint32(pos, true);
    if (size > this.end - pos - 4) throw this.error(`${size} bytes are announced, more than there are`, at);
    return size;
  }

  protected bytes(start: number, size: number): Buffer {
    this.builder.charge(COST_BYTES);
    // Another view each time: two values must not become one.
    if (size === 0) return EMPTY_BYTES.subarray(0);
    const copy = size > 1024 ? Buffer.allocUnsafeSlow(size) : Buffer.allocUnsafe(size);
    if (size < 24) for (let i = 0; i < size; i++) copy[i] = this.buf[start + i]!;
    else this.buf.copy(copy, 0, start, start + size);
    return copy;
  }

  protected string8(start: number, size: number, at: number): string | Buffer {
    const value = decode8Bit(this.buf.subarray(start, start + size), this.encoding);
    if (value === undefined) {
      throw this.error(`An 8-bit string is not ${this.encoding}; see the option \`encoding\``, at);
    }
    return value;
  }

  /**
   * Whether 8 bytes at `start` are, by the opcodes that follow, a persistent id `oid` or `(oid, class)`. Then moves on behind
   * them, and `reference` is what they stand for.
   */
  protected isShortReference(start: number, at: number): boolean {
    const buf = this.buf;
    const memo = this.memo;
    let p = start + 8;
    let oidMemo = -1;
    if (buf[p] === 0x71) {
      oidMemo = buf[p + 1]!;
      p += 2;
    } else if (buf[p] === 0x72 && p + 5 < this.end) {
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
      } else if (code === 0x6a && p + 5 < this.end) {
        cls = memo.get(buf.readUInt32LE(p + 1));
        p += 5;
      } else if (code === 0x63) {
        cls = this.global(at, p + 1);
        p = this.globals.end;
        if (buf[p] === 0x71) {
          clsMemo = buf[p + 1]!;
          p += 2;
        } else if (buf[p] === 0x72 && p + 5 < this.end) {
          clsMemo = buf.readUInt32LE(p + 1);
          p += 5;
        }
      }
      if (!(cls instanceof Global) || buf[p++] !== 0x86) return false;
      code = buf[p];
      if (code === 0x71) {
        pairMemo = buf[p + 1]!;
        p += 2;
      } else if (code === 0x72 && p + 5 < this.end) {
        pairMemo = buf.readUInt32LE(p + 1);
        p += 5;
      }
      if (buf[p] !== 0x51) return false;
    }
    if (p >= this.end) return false;
    if (clsMemo >= 0 || !memo.reserveReference(oidMemo, pairMemo, start, cls)) {
      if (oidMemo >= 0) memo.reserve8(oidMemo, start);
      if (clsMemo >= 0) memo.put(clsMemo, cls);
      if (pairMemo >= 0) memo.reserve8(pairMemo, start, cls);
    }
    this.pos = p + 1;
    this.reference = this.persistentLoad8!(buf, start, cls as Global | undefined);
    return true;
  }

  /** LIST, DICT, FROZENSET, INST and OBJ: what lies above a mark becomes one object. */
  protected fromMark(first: number, sp: number, pos: number, at: number): unknown {
    const builder = this.builder;
    const stack = this.stack;
    builder.at = at;
    builder.charge(COST_LIST + 8 * (sp - first));
    switch (this.buf[at]) {
      case 0x6c: // LIST
        return stack.slice(first, sp);
      case 0x64: // DICT
        if (sp === first) return builder.emptyDict(at);
        if (((sp - first) & 1) === 1) throw this.error('A dict gets a key without a value', at);
        return builder.dict(stack, first, sp, at);
      case 0x91: // FROZENSET
        builder.charge(200 + 40 * (sp - first));
        return new FrozenSet(stack.slice(first, sp));
      case 0x69: {
        // INST
        const cls = this.global(at, pos);
        return builder.construct(sp > first ? 'call' : 'newobj', cls, Object.freeze(stack.slice(first, sp)));
      }
      default: // OBJ
        if (sp === first) throw this.underflow(at);
        return builder.construct(
          sp - first > 1 ? 'call' : 'newobj',
          stack[first],
          Object.freeze(stack.slice(first + 1, sp)),
        );
    }
  }

  protected newWithKeywords(cls: unknown, args: unknown, kwargs: unknown, at: number): unknown {
    if (!Array.isArray(args) || typeof kwargs !== 'object' || kwargs === null || Array.isArray(kwargs)) {
      throw this.error('The arguments of a call are no tuple and dict', at);
    }
    if (kwargs instanceof Map && kwargs.size > 0)
      throw this.error('A keyword argument has no string for a name', at);
    const pairs = Object.entries(kwargs);
    this.builder.at = at;
    return this.builder.construct('newobj', cls, args, pairs.length > 0 ? pairs : undefined);
  }

  /** The rest of the line at the position, as latin-1; moves behind it. */
  protected line(at: number): string {
    const newline = this.buf.indexOf(0x0a, this.pos);
    if (newline === -1 || newline >= this.end) throw this.truncated(at);
    const line = this.buf.latin1Slice(this.pos, newline);
    this.pos = newline + 1;
    return line;
  }

  /** The value of an opcode that needs nothing from the stack; moves behind its argument. */
  protected single(code: number, at: number): unknown {
    const pos = this.pos;
    const take = (size: number): number => {
      if (size > this.end - pos) throw this.truncated(at);
      this.pos = pos + size;
      return pos;
    };
    const buf = this.buf;
    this.builder.at = at;
    switch (code) {
      case 0x8b: {
        // LONG4
        const size = this.size32(pos, at);
        this.pos = pos + 4 + size;
        return decodeLong(buf, pos + 4, size);
      }
      case 0x55: {
        // SHORT_BINSTRING
        const size = buf[take(1)]!;
        take(1 + size);
        return this.string8(pos + 1, size, at);
      }
      case 0x54: {
        // BINSTRING
        const size = this.size32(pos, at);
        this.pos = pos + 4 + size;
        return this.string8(pos + 4, size, at);
      }
      case 0x8d: {
        // BINUNICODE8
        const size = this.size64(pos, at);
        this.pos = pos + 8 + size;
        return this.text(pos + 8, pos + 8 + size, at);
      }
      case 0x8e: // BINBYTES8
      case 0x96: {
        // BYTEARRAY8
        const size = this.size64(pos, at);
        this.pos = pos + 8 + size;
        if (code === 0x8e) return this.bytes(pos + 8, size);
        this.builder.charge(COST_BYTES);
        return ByteArray.from(buf.subarray(pos + 8, pos + 8 + size));
      }
      case 0x8f: // EMPTY_SET
        this.builder.charge(200);
        return new Set();
      case 0x97: // NEXT_BUFFER
        return this.nextBuffer(at);
      case 0x82: // EXT1
        return this.extension(buf[take(1)]!, at);
      case 0x83: // EXT2
        return this.extension(buf.readUInt16LE(take(2)), at);
      case 0x84: // EXT4
        return this.extension(buf.readInt32LE(take(4)), at);
      case 0x50: // PERSID
        return this.persistent(this.line(at), at);
      default:
        return this.textValue(code, at);
    }
  }

  protected textValue(code: number, at: number): unknown {
    if (!isTextOpcode(code)) throw this.error('There is no such opcode', at);
    const line = this.line(at);
    if (code === 0x53) {
      // STRING
      const bytes = parseQuoted(line);
      if (bytes === undefined)
        throw this.error('The text of a string is not in quotes, or has a bad escape', at);
      const value = decode8Bit(bytes, this.encoding);
      if (value === undefined) {
        throw this.error(`An 8-bit string is not ${this.encoding}; see the option \`encoding\``, at);
      }
      return value;
    }
    const value = readTextOpcode(code, line);
    if (value === undefined)
      throw this.error(`${JSON.stringify(line.slice(0, 40))} is not what the opcode takes`, at);
    return value;
  }
}
