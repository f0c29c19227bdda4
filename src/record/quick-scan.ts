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
import { lines, u32 } from './scan-places';

/** The position behind a memo number, if there is one. */
function behindPut(buf: Uint8Array, pos: number): number {
  const code = buf[pos];
  return code === 0x71 ? pos + 2 : code === 0x72 ? pos + 5 : pos;
}

/** The position behind the reference whose 8 bytes stand at `start`; 0 when they are no part of one. */
function behindReference(buf: Uint8Array, start: number): number {
  let pos = behindPut(buf, start + 8);
  let code = buf[pos];
  if (code !== 0x51) {
    if (code === 0x68) pos += 2;
    else if (code === 0x6a) pos += 5;
    else if (code === 0x63) pos = behindPut(buf, lines(buf, pos + 1, 2));
    else return 0;
    if (buf[pos] !== 0x86) return 0;
    pos = behindPut(buf, pos + 1);
    code = buf[pos];
  }
  return code === 0x51 ? pos + 1 : 0;
}

/**
 * Appends the oids of a record's references to `into`. False when it must be scanned with stack and memo, for a reference
 * or an error: then some oids may have been appended.
 */
export function quickReferences(buf: Uint8Array, into: Oid[]): boolean {
  const end = buf.length;
  let pos = 0;
  let left = 2;
  while (pos < end) {
    const code = buf[pos]!;
    // A switch beats a table of sizes: the processor learns which opcode follows which.
    switch (code) {
      case 0x58: {
        // BINUNICODE
        const size = buf[pos + 1]! | (buf[pos + 2]! << 8) | (buf[pos + 3]! << 16) | (buf[pos + 4]! << 24);
        if (size < 0) return false;
        pos += 5 + size;
        // Nearly every string is followed by its number in the memo.
        if (buf[pos] === 0x71) pos += 2;
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
        pos += 5 + u32(buf, pos + 1);
        break;
      case 0x43: // SHORT_BINBYTES
      case 0x55: {
        // SHORT_BINSTRING
        const size = buf[pos + 1]!;
        // Mostly everything in its short form.
        if (
          buf[pos + 10] === 0x71 &&
          buf[pos + 12] === 0x68 &&
          buf[pos + 14] === 0x86 &&
          buf[pos + 15] === 0x71 &&
          buf[pos + 17] === 0x51 &&
          size === 8
        ) {
          into.push(oidFromBytes(buf, pos + 2));
          pos += 18;
          break;
        }
        const next = size === 8 ? behindReference(buf, pos + 2) : 0;
        if (next > 0) {
          into.push(oidFromBytes(buf, pos + 2));
          pos = next;
        } else {
          pos += 2 + size;
        }
        break;
      }
      case 0x8a: // LONG1
      case 0x8c: // SHORT_BINUNICODE
        pos += 2 + buf[pos + 1]!;
        break;
      case 0x63: // GLOBAL
        while (++pos < end && buf[pos] !== 0x0a);
        while (++pos < end && buf[pos] !== 0x0a);
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
