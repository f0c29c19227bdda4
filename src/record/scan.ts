/**
 * The pickle machine run on integers: a place of its stack holds 0 for any value, or where an oid stands in the input.
 * Nothing is decoded, and it is exact for every pickle, whoever wrote it.
 */
import { type Oid, oidFromBytes } from '../ids';
import { PickleError } from '../pickle/index';
import { grown, lines, OID, pair, PAIR, sized, TEXT, textEnd, textOid, u32 } from './scan-places';

/** A gap in the memo's numbers larger than this goes to a map. */
const MAX_GAP = 1024;
const FIRST_SIZE = 1024;
const KEPT_SIZE = 65_536;
/** Places are integers of 32 bits. */
const MAX_SIZE = 0x2000_0000;

export class Scan {
  /** Where the oids of the strong references stand in the record scanned last: offsets of 8 bytes. */
  starts: number[] = [];
  #into: Oid[] = [];
  #wantStarts = false;
  #stack = new Int32Array(FIRST_SIZE);
  #marks: number[] = [];
  #memo = new Int32Array(FIRST_SIZE);
  #memoSize = 0;
  #gaps = 0;
  #far: Map<number, number> | undefined = undefined;

  /** Appends the oids of a record's strong references to `into`. */
  oids(record: Buffer, into: Oid[]): void {
    this.#into = into;
    this.#wantStarts = false;
    this.#record(record);
    this.#into = [];
  }

  /** Finds where the oids of a record's strong references stand; texts are left out. */
  places(record: Buffer): readonly number[] {
    this.starts = [];
    this.#wantStarts = true;
    this.#record(record);
    return this.starts;
  }

  /** Scans both pickles. */
  #record(record: Buffer): void {
    this.#memoSize = 0;
    this.#gaps = 0;
    this.#far = undefined;
    if (record.length >= MAX_SIZE) throw this.#error('The record is longer than 512 MiB', 0);
    if (this.#stack.length > KEPT_SIZE) this.#stack = new Int32Array(FIRST_SIZE);
    if (this.#memo.length > KEPT_SIZE) this.#memo = new Int32Array(FIRST_SIZE);
    if (this.#marks.length > KEPT_SIZE) this.#marks = [];
    this.#pickle(record, this.#pickle(record, 0));
  }

  #error(message: string, at: number): PickleError {
    return new PickleError(message, at, undefined);
  }

  #found(record: Buffer, place: number): void {
    if (place > 0 && (place & 3) !== TEXT) {
      this.#foundAt(record, place >> 2);
    } else if (!this.#wantStarts) {
      const start = place < 0 ? -place : place >> 2;
      const oid = textOid(record, start, textEnd(record, start));
      if (oid !== undefined) this.#into.push(oid);
    }
  }

  #foundAt(record: Buffer, start: number): void {
    if (this.#wantStarts) this.starts.push(start);
    else this.#into.push(oidFromBytes(record, start));
  }

  #put(index: number, place: number): void {
    if (index < this.#memoSize) {
      this.#memo[index] = place;
    } else if (index - this.#memoSize <= MAX_GAP) {
      if (index >= this.#memo.length) this.#memo = grown(this.#memo, index);
      this.#gaps += index - this.#memoSize;
      while (this.#memoSize < index) this.#memo[this.#memoSize++] = 0;
      this.#memo[this.#memoSize++] = place;
    } else {
      (this.#far ??= new Map()).set(index, place);
    }
  }

  /** Two places with numbers one after the other, as writers give them. */
  #putTwo(index: number, place: number, second: number, secondPlace: number): void {
    if (index === this.#memoSize && second === index + 1 && second < this.#memo.length) {
      this.#memo[index] = place;
      this.#memo[second] = secondPlace;
      this.#memoSize = second + 1;
    } else {
      this.#put(index, place);
      this.#put(second, secondPlace);
    }
  }

  #get(index: number, at: number): number {
    if (index < this.#memoSize) return this.#memo[index]!;
    const place = this.#far?.get(index);
    if (place === undefined) throw this.#error(`The memo has no entry ${index}`, at);
    return place;
  }

  /**
   * The usual reference, taken at one look: 8 bytes, their memo number, the class out of the memo, TUPLE2, its number,
   * BINPERSID. Gives the position behind it, or 0 for anything else.
   */
  #reference(buf: Buffer, pos: number): number {
    const p = pos + 8;
    if (buf[p] === 0x71) {
      if (buf[p + 2] !== 0x68 || buf[p + 4] !== 0x86 || buf[p + 5] !== 0x71 || buf[p + 7] !== 0x51) return 0;
      const place = pos * 4;
      this.#putTwo(buf[p + 1]!, place + OID, buf[p + 6]!, place + PAIR);
      this.#foundAt(buf, pos);
      return p + 8;
    }
    if (
      buf[p] !== 0x72 ||
      buf[p + 5] !== 0x68 ||
      buf[p + 7] !== 0x86 ||
      buf[p + 8] !== 0x72 ||
      buf[p + 13] !== 0x51
    ) {
      return 0;
    }
    const place = pos * 4;
    this.#putTwo(u32(buf, p + 1), place + OID, u32(buf, p + 9), place + PAIR);
    this.#foundAt(buf, pos);
    return p + 14;
  }

  /** Scans the pickle at `start` and gives its end. */
  #pickle(buf: Buffer, start: number): number {
    const end = buf.length;
    let stack = this.#stack;
    const marks = this.#marks;
    let markCount = 0;
    let sp = 0;
    let pos = start;
    while (pos < end) {
      const at = pos;
      const code = buf[pos++]!;
      if (sp + 1 >= stack.length) stack = this.#stack = grown(stack, sp + 1);
      switch (code) {
        case 0x71: // BINPUT
          if (sp === 0) throw this.#error('The stack is empty', at);
          this.#put(buf[pos++]!, stack[sp - 1]!);
          break;
        case 0x58: // BINUNICODE
        case 0x54: // BINSTRING
        case 0x42: // BINBYTES
        case 0x8b: {
          // LONG4
          const size = u32(buf, pos);
          pos += 4;
          const place = size < 8 || code === 0x8b ? 0 : sized(code, size, at, pos);
          stack[sp++] = place;
          pos += size;
          // Nearly every string is followed by its number in the memo.
          if (buf[pos] === 0x71 && pos + 1 < end) {
            this.#put(buf[pos + 1]!, place);
            pos += 2;
          }
          break;
        }
        case 0x43: // SHORT_BINBYTES
        case 0x55: // SHORT_BINSTRING
        case 0x8c: // SHORT_BINUNICODE
        case 0x8a: {
          // LONG1
          const size = buf[pos++]!;
          if (size === 8 && code === 0x43) {
            const next = this.#reference(buf, pos);
            if (next > 0) {
              stack[sp++] = 0;
              pos = next;
              break;
            }
          }
          stack[sp++] = size < 8 || code === 0x8a ? 0 : sized(code, size, at, pos);
          pos += size;
          break;
        }
        case 0x68: // BINGET
          stack[sp++] = this.#get(buf[pos++]!, at);
          break;
        case 0x4b: // BININT1
          pos += 1;
          stack[sp++] = 0;
          break;
        case 0x4d: // BININT2
          pos += 2;
          stack[sp++] = 0;
          break;
        case 0x4a: // BININT
          pos += 4;
          stack[sp++] = 0;
          break;
        case 0x47: // BINFLOAT
          pos += 8;
          stack[sp++] = 0;
          break;
        case 0x28: // MARK
          marks[markCount++] = sp;
          break;
        case 0x75: // SETITEMS
        case 0x65: // APPENDS
        case 0x90: // ADDITEMS
        case 0x31: // POP_MARK
          if (markCount === 0) throw this.#error('There is no mark', at);
          sp = marks[--markCount]!;
          break;
        case 0x74: // TUPLE
        case 0x6c: // LIST
        case 0x64: // DICT
        case 0x91: // FROZENSET
        case 0x6f: // OBJ
        case 0x69: {
          // INST
          if (code === 0x69) pos = lines(buf, pos, 2);
          if (markCount === 0) throw this.#error('There is no mark', at);
          const first = marks[--markCount]!;
          stack[first] = code === 0x74 && sp - first === 2 ? pair(stack[first]!) : 0;
          sp = first + 1;
          break;
        }
        case 0x51: // BINPERSID
          if (sp === 0) throw this.#error('The stack is empty', at);
          if (stack[sp - 1] !== 0) this.#found(buf, stack[sp - 1]!);
          stack[sp - 1] = 0;
          break;
        case 0x86: // TUPLE2
          if (sp < 2) throw this.#error('The stack is empty', at);
          sp--;
          stack[sp - 1] = pair(stack[sp - 1]!);
          break;
        case 0x85: // TUPLE1
          if (sp === 0) throw this.#error('The stack is empty', at);
          stack[sp - 1] = 0;
          break;
        case 0x87: // TUPLE3
        case 0x92: // NEWOBJ_EX
          sp -= 2;
          if (sp < 1) throw this.#error('The stack is empty', at);
          stack[sp - 1] = 0;
          break;
        case 0x52: // REDUCE
        case 0x81: // NEWOBJ
        case 0x93: // STACK_GLOBAL
          sp -= 1;
          if (sp < 1) throw this.#error('The stack is empty', at);
          stack[sp - 1] = 0;
          break;
        case 0x61: // APPEND
        case 0x62: // BUILD
          sp -= 1;
          if (sp < 1) throw this.#error('The stack is empty', at);
          break;
        case 0x73: // SETITEM
          sp -= 2;
          if (sp < 1) throw this.#error('The stack is empty', at);
          break;
        case 0x63: // GLOBAL
          pos = lines(buf, pos, 2);
          stack[sp++] = 0;
          break;
        case 0x4e: // NONE
        case 0x88: // NEWTRUE
        case 0x89: // NEWFALSE
        case 0x5d: // EMPTY_LIST
        case 0x7d: // EMPTY_DICT
        case 0x29: // EMPTY_TUPLE
        case 0x8f: // EMPTY_SET
        case 0x97: // NEXT_BUFFER
          stack[sp++] = 0;
          break;
        case 0x72: // LONG_BINPUT
          if (sp === 0) throw this.#error('The stack is empty', at);
          this.#put(u32(buf, pos), stack[sp - 1]!);
          pos += 4;
          break;
        case 0x6a: // LONG_BINGET
          stack[sp++] = this.#get(u32(buf, pos), at);
          pos += 4;
          break;
        case 0x94: // MEMOIZE
          if (sp === 0) throw this.#error('The stack is empty', at);
          this.#put(this.#memoSize - this.#gaps + (this.#far?.size ?? 0), stack[sp - 1]!);
          break;
        case 0x30: // POP
          if (markCount > 0 && marks[markCount - 1] === sp) markCount--;
          else if (sp-- === 0) throw this.#error('The stack is empty', at);
          break;
        case 0x32: // DUP
          if (sp === 0) throw this.#error('The stack is empty', at);
          stack[sp] = stack[sp - 1]!;
          sp++;
          break;
        case 0x2e: // STOP
          if (pos > end) throw this.#error('The pickle ends in the middle', at);
          return pos;
        case 0x80: // PROTO
          pos += 1;
          break;
        case 0x95: // FRAME
          pos += 8;
          break;
        case 0x98: // READONLY_BUFFER
          break;
        default:
          pos = this.#rare(buf, code, pos, at);
          if (code !== 0x70) {
            stack[sp++] = this.#rarePlace;
          } else {
            if (sp === 0) throw this.#error('The stack is empty', at);
            this.#put(this.#rarePlace, stack[sp - 1]!);
          }
      }
      if (pos > end) throw this.#error('The pickle ends in the middle', at);
    }
    throw this.#error('The pickle ends in the middle', end);
  }

  /** What {@link #rare} leaves: the place to push, or the memo's number for PUT. */
  #rarePlace = 0;

  /** Opcodes of protocols 0, 4 and 5 that ZODB's records don't have today. Gives the position behind the argument. */
  #rare(buf: Buffer, code: number, pos: number, at: number): number {
    this.#rarePlace = 0;
    switch (code) {
      case 0x8d: // BINUNICODE8
      case 0x8e: // BINBYTES8
      case 0x96: {
        // BYTEARRAY8
        if (pos + 8 > buf.length) throw this.#error('The pickle ends in the middle', at);
        const size = u32(buf, pos) + u32(buf, pos + 4) * 0x1_0000_0000;
        if (code !== 0x8d && size === 8) this.#rarePlace = (pos + 8) * 4 + OID;
        return pos + 8 + size;
      }
      case 0x82: // EXT1
        return pos + 1;
      case 0x83: // EXT2
        return pos + 2;
      case 0x84: // EXT4
        return pos + 4;
      case 0x46: // FLOAT
      case 0x49: // INT
      case 0x4c: // LONG
        return lines(buf, pos, 1);
      case 0x53: // STRING
      case 0x56: // UNICODE
        this.#rarePlace = at * 4 + TEXT;
        return lines(buf, pos, 1);
      case 0x50: {
        // PERSID
        const next = lines(buf, pos, 1);
        if (next - pos === 9) this.#found(buf, pos * 4 + OID);
        return next;
      }
      case 0x67: // GET
      case 0x70: {
        // PUT
        const next = lines(buf, pos, 1);
        const text = buf.toString('latin1', pos, next - 1);
        if (!/^\d{1,9}$/.test(text)) throw this.#error('A memo number is no number', at);
        this.#rarePlace = code === 0x70 ? Number(text) : this.#get(Number(text), at);
        return next;
      }
      default:
        throw this.#error(`There is no opcode 0x${code.toString(16).padStart(2, '0')}`, at);
    }
  }
}
