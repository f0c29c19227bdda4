/** The opcodes of the pickle machine, one after another; see `reader.ts`. The frequent ones come first. */
import { Memo } from './memo';
import { FLOAT_NOTE } from './notes';
import { decodeLong } from './numbers';
import { isUtc, putUtc, TIMEZONE } from './utc';
import { PyTimezone } from './datetime';
import { ArgumentReader } from './arguments';

const EMPTY_TUPLE: readonly unknown[] = Object.freeze([]);
const COST_LIST = 32;

/** The loop over the opcodes. */
export class Machine extends ArgumentReader {
  protected run(): unknown {
    const buf = this.buf;
    const end = this.end;
    const memo = this.memo;
    const notes = this.notes;
    const strings = this.strings;
    const view = this.input.view;
    const builder = this.builder;
    const stack = this.stack;
    const marks = this.marks;
    let pos = this.pos;
    let sp = this.startPlace;
    let markCount = this.startMarks;
    // The lowest place that opcodes may take from: above the last mark.
    let fence = markCount > 0 ? marks[markCount - 1]! : 0;
    let containers = sp; // As if all on the stack were some; an exact look follows where it matters.
    if (sp === 0) this.protocol = 0;

    for (;;) {
      const at = pos;
      if (pos >= end) throw this.truncated(at);
      switch (buf[pos++]) {
        case 0x71: {
          // BINPUT
          if (pos >= end) throw this.truncated(at);
          const index = buf[pos++]!;
          if (sp <= fence) throw this.underflow(at);
          if (notes.top === sp - 1) this.put(index, sp);
          else memo.put(index, stack[sp - 1]);
          break;
        }
        case 0x58: {
          // BINUNICODE
          const size = this.size32(pos, at);
          const start = pos + 4;
          pos = start + size;
          // In a dict's part of the stack every other value is a key.
          const isKey = (((sp - fence) & 1) === 0 && notes.top >= 0) || notes.top === sp - 1;
          const text = isKey ? strings.key(start, pos) : strings.value(start, pos);
          if (text === undefined) throw this.error('A string is no UTF-8', at);
          stack[sp++] = text;
          // Nearly every string is followed by its number in the memo.
          if (buf[pos] === 0x71 && pos + 1 < end) {
            if (size <= 16) memo.reserveText(buf[pos + 1]!, start - 4, text);
            else memo.put(buf[pos + 1]!, text);
            pos += 2;
          }
          break;
        }
        case 0x4b: // BININT1
          if (pos >= end) throw this.truncated(at);
          stack[sp++] = buf[pos++];
          break;
        case 0x4d: // BININT2
          if (pos + 2 > end) throw this.truncated(at);
          stack[sp++] = buf[pos]! | (buf[pos + 1]! << 8);
          pos += 2;
          break;
        case 0x4a: // BININT
          if (pos + 4 > end) throw this.truncated(at);
          stack[sp++] = view.getInt32(pos, true);
          pos += 4;
          break;
        case 0x68: {
          // BINGET
          if (pos >= end) throw this.truncated(at);
          const value = memo.get(buf[pos++]!);
          stack[sp] = value === undefined || Memo.isWrapped(value) ? this.get(buf[pos - 1]!, at) : value;
          sp++;
          break;
        }
        case 0x28: // MARK
          marks[markCount++] = sp;
          fence = sp;
          break;
        case 0x47: {
          // BINFLOAT
          if (pos + 8 > end) throw this.truncated(at);
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
            if (markCount === 0) throw this.error('There is no mark', at);
            first = marks[--markCount]!;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
            if (((sp - first) & 1) === 1) throw this.error('A dict gets a key without a value', at);
          }
          if (first - 1 < fence) throw this.underflow(at);
          if (sp > first) {
            builder.at = at;
            this.setPairs(first - 1, first, sp);
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
            if (markCount === 0) throw this.error('There is no mark', at);
            first = marks[--markCount]!;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
          }
          if (first - 1 < fence) throw this.underflow(at);
          if (notes.top >= first - 1) this.settle(first - 1);
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
            if (markCount === 0) throw this.error('There is no mark', at);
            first = marks[--markCount]!;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
          }
          if (first < fence) throw this.underflow(at);
          if (notes.top >= first) this.settle(first);
          containers++;
          builder.at = at;
          builder.charge(48 + 8 * (sp - first));
          stack[first] = first === sp ? EMPTY_TUPLE : Object.freeze(stack.slice(first, sp));
          sp = first + 1;
          break;
        }
        case 0x51: // BINPERSID
          if (sp <= fence) throw this.underflow(at);
          if (notes.top >= sp - 1) this.settle(sp - 1);
          stack[sp - 1] = this.persistent(stack[sp - 1], at);
          break;
        case 0x43: {
          // SHORT_BINBYTES
          if (pos >= end) throw this.truncated(at);
          const size = buf[pos++]!;
          if (size > end - pos) throw this.error(`${size} bytes are announced, more than there are`, at);
          if (size === 8 && this.persistentLoad8 !== undefined && this.isShortReference(pos, at)) {
            pos = this.pos;
            stack[sp++] = this.reference;
            this.reference = undefined;
            break;
          }
          builder.at = at;
          stack[sp++] = this.bytes(pos, size);
          pos += size;
          break;
        }
        case 0x72: {
          // LONG_BINPUT
          if (pos + 4 > end) throw this.truncated(at);
          const index = buf.readUInt32LE(pos);
          pos += 4;
          if (sp <= fence) throw this.underflow(at);
          if (notes.top === sp - 1) this.put(index, sp);
          else memo.put(index, stack[sp - 1]);
          break;
        }
        case 0x6a: {
          // LONG_BINGET
          if (pos + 4 > end) throw this.truncated(at);
          const index = buf.readUInt32LE(pos);
          pos += 4;
          const value = memo.get(index);
          stack[sp] = value === undefined || Memo.isWrapped(value) ? this.get(index, at) : value;
          sp++;
          break;
        }
        case 0x63: // GLOBAL
          stack[sp] = this.global(at, pos);
          pos = this.globals.end;
          if (stack[sp] === TIMEZONE && isUtc(buf, pos, end)) {
            stack[sp] = PyTimezone.utc;
            pos = putUtc(buf, pos, memo);
          }
          sp++;
          break;
        case 0x2e: // STOP
          if (sp <= fence || markCount > 0) throw this.underflow(at);
          this.containers = containers;
          this.pos = pos;
          if (this.wantColumns) {
            if (sp === 1 && notes.count > 0 && notes.places[0] === 0 && notes.offsets[0] !== FLOAT_NOTE)
              return undefined;
            this.wantColumns = false;
          }
          if (notes.top >= sp - 1) this.settle(sp - 1);
          return stack[sp - 1];
        case 0x80: // PROTO
          if (pos >= end) throw this.truncated(at);
          this.protocol = buf[pos++]!;
          if (this.protocol > 5)
            throw this.error(`The pickle's protocol is ${this.protocol}; 0 to 5 exist`, at);
          break;
        case 0x52: // REDUCE
        case 0x81: {
          // NEWOBJ
          if (sp - 2 < fence) throw this.underflow(at);
          if (notes.top >= sp - 2) this.settle(sp - 2);
          const args = stack[sp - 1];
          if (!Array.isArray(args)) throw this.error('The arguments of a call are no tuple', at);
          containers++;
          builder.at = at;
          stack[sp - 2] = builder.construct(buf[at] === 0x52 ? 'call' : 'newobj', stack[sp - 2], args);
          sp--;
          break;
        }
        case 0x62: // BUILD
          if (sp - 2 < fence) throw this.underflow(at);
          if (notes.top >= sp - 2) this.settle(sp - 2);
          builder.at = at;
          builder.setState(stack[sp - 2], stack[sp - 1]);
          sp--;
          break;
        case 0x8a: {
          // LONG1
          if (pos >= end) throw this.truncated(at);
          const size = buf[pos++]!;
          if (size > end - pos) throw this.error(`${size} bytes are announced, more than there are`, at);
          stack[sp++] = decodeLong(buf, pos, size);
          pos += size;
          break;
        }
        case 0x42: {
          // BINBYTES
          const size = this.size32(pos, at);
          builder.at = at;
          stack[sp++] = this.bytes(pos + 4, size);
          pos += 4 + size;
          break;
        }
        case 0x30: // POP
          if (markCount > 0 && fence === sp) {
            markCount--;
            fence = markCount > 0 ? marks[markCount - 1]! : 0;
          } else {
            if (sp <= fence) throw this.underflow(at);
            sp--;
            if (notes.top >= sp) this.settle(sp);
          }
          break;
        case 0x31: // POP_MARK
          if (markCount === 0) throw this.error('There is no mark', at);
          sp = marks[--markCount]!;
          fence = markCount > 0 ? marks[markCount - 1]! : 0;
          if (notes.top >= sp) this.settle(sp);
          break;
        case 0x32: // DUP
          if (sp <= fence) throw this.underflow(at);
          if (notes.top >= sp - 1) this.settle(sp - 1);
          stack[sp] = stack[sp - 1];
          sp++;
          break;
        case 0x6c: // LIST
        case 0x64: // DICT
        case 0x91: // FROZENSET
        case 0x69: // INST
        case 0x6f: {
          // OBJ
          if (markCount === 0) throw this.error('There is no mark', at);
          const first = marks[--markCount]!;
          fence = markCount > 0 ? marks[markCount - 1]! : 0;
          if (notes.top >= first) this.settle(first);
          containers++;
          stack[first] = this.fromMark(first, sp, pos, at);
          if (buf[at] === 0x69) pos = this.globals.end;
          sp = first + 1;
          break;
        }
        case 0x8c: {
          // SHORT_BINUNICODE
          if (pos >= end) throw this.truncated(at);
          const size = buf[pos++]!;
          if (size > end - pos) throw this.error(`${size} bytes are announced, more than there are`, at);
          const isKey = (((sp - fence) & 1) === 0 && notes.top >= 0) || notes.top === sp - 1;
          const text = isKey ? strings.key(pos, pos + size) : strings.value(pos, pos + size);
          if (text === undefined) throw this.error('A string is no UTF-8', at);
          stack[sp++] = text;
          pos += size;
          break;
        }
        case 0x94: {
          // MEMOIZE
          if (sp <= fence) throw this.underflow(at);
          if (notes.top === sp - 1) this.put(memo.count, sp);
          else memo.put(memo.count, stack[sp - 1]);
          break;
        }
        case 0x95: // FRAME
          this.size64(pos, at);
          pos += 8;
          break;
        case 0x93: {
          // STACK_GLOBAL
          if (sp - 2 < fence) throw this.underflow(at);
          stack[sp - 2] = this.stackGlobal(stack[sp - 2], stack[sp - 1], at);
          sp--;
          break;
        }
        case 0x90: {
          // ADDITEMS
          if (markCount === 0) throw this.error('There is no mark', at);
          const first = marks[--markCount]!;
          fence = markCount > 0 ? marks[markCount - 1]! : 0;
          if (first - 1 < fence) throw this.underflow(at);
          if (notes.top >= first - 1) this.settle(first - 1);
          builder.at = at;
          builder.add(stack[first - 1], stack, first, sp);
          sp = first;
          break;
        }
        case 0x92: {
          // NEWOBJ_EX
          if (sp - 3 < fence) throw this.underflow(at);
          if (notes.top >= sp - 3) this.settle(sp - 3);
          containers++;
          stack[sp - 3] = this.newWithKeywords(stack[sp - 3], stack[sp - 2], stack[sp - 1], at);
          sp -= 2;
          break;
        }
        case 0x98: // READONLY_BUFFER
          if (sp <= fence) throw this.underflow(at);
          break;
        default: {
          // Everything else stands alone: it takes nothing from the stack and pushes one value, or does nothing to it.
          this.pos = pos;
          const code = buf[at]!;
          if (code === 0x70) {
            // PUT
            const index = this.line(at);
            if (sp <= fence) throw this.underflow(at);
            if (!/^\d{1,9}$/.test(index)) throw this.error('A memo number is no number', at);
            if (notes.top === sp - 1) this.put(Number(index), sp);
            else memo.put(Number(index), stack[sp - 1]);
          } else if (code === 0x67) {
            // GET
            const index = this.line(at);
            if (!/^\d{1,9}$/.test(index)) throw this.error('A memo number is no number', at);
            const value = memo.get(Number(index));
            stack[sp++] = value === undefined || Memo.isWrapped(value) ? this.get(Number(index), at) : value;
          } else {
            containers++;
            const value = this.single(code, at);
            if (typeof value === 'number' && code === 0x46 && Number.isInteger(value))
              notes.push(sp, FLOAT_NOTE);
            stack[sp++] = value;
          }
          pos = this.pos;
        }
      }
    }
  }
}
