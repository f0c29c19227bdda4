/**
 * References in the forms that ZODB writes, found by stepping from opcode to opcode: neither stack nor memo. Each is complete
 * in itself, so that what stands around it does not matter:
 *
 * | opcodes | reference |
 * |---|---|
 * | 8 bytes, BINPERSID | oid |
 * | 8 bytes, BINGET or GLOBAL, TUPLE2, BINPERSID | oid and class |
 *
 * A memo number may follow each value. A record with a persistent id in any other form is for `scan.ts`.
 */
import { type Oid, oidFromBytes } from '../ids';
import { lines } from './scan-places';

/** Longer records are for `scan.ts`. */
const MAX_SIZE = 0x4000;
/** Bytes behind a record that may be looked at. */
const SLACK = 64;
/** The record at work. In one place for all, which costs a copy: the compiler knows it, and steps take half the time. */
const bytes = Buffer.alloc(MAX_SIZE + SLACK);
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** The position behind a memo number, if there is one. */
function behindPut(pos: number): number {
  const code = bytes[pos];
  return code === 0x71 ? pos + 2 : code === 0x72 ? pos + 5 : pos;
}

/**
 * How the record before begins: PROTO, a class, its number, STOP; for a dict of fields also PROTO, EMPTY_DICT, its number, MARK. Many
 * records in a row begin alike.
 */
const header = new Int32Array(32);
let headerSize = 0;

/** The position behind the beginning, if it is in its usual form; else 0. */
function behindHeader(end: number): number {
  if (headerSize > 0 && headerSize <= end) {
    const last = (headerSize - 1) >> 2;
    let w = 0;
    while (w < last && view.getInt32(4 * w, true) === header[w]) w++;
    if (w === last && (view.getInt32(4 * w, true) ^ header[w]!) << (24 - 8 * ((headerSize - 1) & 3)) === 0)
      return headerSize;
  }
  if (bytes[0] !== 0x80 || bytes[2] !== 0x63) return 0;
  let pos = lines(bytes, 3, 2) + 3;
  if (pos > end || bytes[pos - 3] !== 0x71 || bytes[pos - 1] !== 0x2e) return 0;
  if (pos + 6 <= end && view.getInt32(pos) === (0x8003_7d71 | 0) && bytes[pos + 5] === 0x28) pos += 6;
  headerSize = pos <= 4 * header.length ? pos : 0;
  for (let w = 0; 4 * w < headerSize; w++) header[w] = view.getInt32(4 * w, true);
  return pos;
}

/** The position behind the reference whose 8 bytes stand at `start`; 0 when they are no part of one. */
function behindReference(start: number): number {
  let pos = behindPut(start + 8);
  let code = bytes[pos];
  if (code !== 0x51) {
    if (code === 0x68) pos += 2;
    else if (code === 0x6a) pos += 5;
    else if (code === 0x63) pos = behindPut(lines(bytes, pos + 1, 2));
    else return 0;
    if (bytes[pos] !== 0x86) return 0;
    pos = behindPut(pos + 1);
    code = bytes[pos];
  }
  return code === 0x51 ? pos + 1 : 0;
}

/** The position behind a short string or bytes at `pos`, or behind the reference that they are a part of. */
function behindShort(pos: number, into: Oid[]): number {
  const size = bytes[pos + 1]!;
  const next = size === 8 ? behindReference(pos + 2) : 0;
  if (next === 0) return pos + 2 + size;
  into.push(oidAt(pos + 2));
  return next;
}

function oidAt(pos: number): Oid {
  return view.getInt32(pos) === 0 ? (view.getUint32(pos + 4) as Oid) : oidFromBytes(bytes, pos);
}

/**
 * Appends the oids of a record's references to `into`. False when it must be scanned with stack and memo, for a reference
 * or an error: then some oids may have been appended.
 */
export function quickReferences(record: Uint8Array, into: Oid[]): boolean {
  const end = record.length;
  if (end > MAX_SIZE) return false;
  bytes.set(record);
  let pos = behindHeader(end);
  let left = pos > 0 ? 1 : 2;
  while (pos < end) {
    const code = bytes[pos]!;
    // A switch beats a table of sizes: the processor learns which opcode follows which.
    switch (code) {
      case 0x58: {
        // BINUNICODE
        const size = view.getInt32(pos + 1, true);
        if (size < 0 || size > end) return false;
        pos += 5 + size;
        // Nearly every string is followed by its number in the memo.
        if (bytes[pos] === 0x71) pos += 2;
        break;
      }
      case 0x71: // BINPUT
      case 0x68: // BINGET
      case 0x4b: // BININT1
      case 0x80: // PROTO
        pos += 2;
        break;
      case 0x4d: // BININT2
        pos += 3;
        break;
      case 0x4a: // BININT
      case 0x72: // LONG_BINPUT
      case 0x6a: // LONG_BINGET
        pos += 5;
        break;
      case 0x47: // BINFLOAT
      case 0x95: // FRAME
        pos += 9;
        break;
      case 0x28: // MARK
      case 0x29: // EMPTY_TUPLE
      case 0x30: // POP
      case 0x31: // POP_MARK
      case 0x32: // DUP
      case 0x4e: // NONE
      case 0x52: // REDUCE
      case 0x5d: // EMPTY_LIST
      case 0x61: // APPEND
      case 0x62: // BUILD
      case 0x64: // DICT
      case 0x65: // APPENDS
      case 0x6c: // LIST
      case 0x6f: // OBJ
      case 0x73: // SETITEM
      case 0x74: // TUPLE
      case 0x75: // SETITEMS
      case 0x7d: // EMPTY_DICT
      case 0x81: // NEWOBJ
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
      case 0x8f: // EMPTY_SET
      case 0x90: // ADDITEMS
      case 0x91: // FROZENSET
      case 0x92: // NEWOBJ_EX
      case 0x93: // STACK_GLOBAL
      case 0x94: // MEMOIZE
        pos += 1;
        break;
      case 0x54: // BINSTRING
      case 0x42: // BINBYTES
      case 0x8b: // LONG4
        pos += 5 + view.getUint32(pos + 1, true);
        break;
      case 0x43: // SHORT_BINBYTES
        // Mostly everything in its short form.
        if (
          view.getUint16(pos) === 0x4308 &&
          (view.getInt32(pos + 10) & 0xff00_ff00) === 0x7100_6800 &&
          (view.getInt32(pos + 14) & (0xffff_00ff | 0)) === (0x8671_0051 | 0)
        ) {
          into.push(oidAt(pos + 2));
          pos += 18;
          break;
        }
        pos = behindShort(pos, into);
        break;
      case 0x55: // SHORT_BINSTRING
        pos = behindShort(pos, into);
        break;
      case 0x8a: // LONG1
      case 0x8c: // SHORT_BINUNICODE
        pos += 2 + bytes[pos + 1]!;
        break;
      case 0x63: // GLOBAL
        while (++pos < end && bytes[pos] !== 0x0a);
        while (++pos < end && bytes[pos] !== 0x0a);
        pos++;
        break;
      case 0x2e: // STOP
        pos++;
        if (--left === 0) return true;
        break;
      default:
        return false;
    }
  }
  return false;
}
