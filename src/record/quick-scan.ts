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

/** How many bytes an opcode takes with its argument; 0 for those that need a look. */
const STEPS = new Uint8Array(256);
const CODES: readonly [step: number, codes: readonly number[]][] = [
  // MARK, EMPTY_TUPLE, POP, POP_MARK, DUP, NONE, REDUCE, EMPTY_LIST, APPEND, BUILD, DICT, APPENDS
  [1, [0x28, 0x29, 0x30, 0x31, 0x32, 0x4e, 0x52, 0x5d, 0x61, 0x62, 0x64, 0x65]],
  // LIST, OBJ, SETITEM, TUPLE, SETITEMS, EMPTY_DICT, NEWOBJ, TUPLE1, TUPLE2, TUPLE3, NEWTRUE, NEWFALSE
  [1, [0x6c, 0x6f, 0x73, 0x74, 0x75, 0x7d, 0x81, 0x85, 0x86, 0x87, 0x88, 0x89]],
  // EMPTY_SET, ADDITEMS, FROZENSET, NEWOBJ_EX, STACK_GLOBAL, MEMOIZE
  [1, [0x8f, 0x90, 0x91, 0x92, 0x93, 0x94]],
  // BININT1, BINPUT, BINGET, PROTO
  [2, [0x4b, 0x71, 0x68, 0x80]],
  // BININT2
  [3, [0x4d]],
  // BININT, LONG_BINPUT, LONG_BINGET
  [5, [0x4a, 0x72, 0x6a]],
  // BINFLOAT, FRAME
  [9, [0x47, 0x95]],
];
for (const [step, codes] of CODES) for (const code of codes) STEPS[code] = step;

/** The position behind a memo number, if there is one. */
function behindPut(buf: Buffer, pos: number): number {
  const code = buf[pos];
  return code === 0x71 ? pos + 2 : code === 0x72 ? pos + 5 : pos;
}

/** The position behind the reference whose 8 bytes stand at `start`; 0 when they are no part of one. */
function behindReference(buf: Buffer, start: number): number {
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
export function quickReferences(buf: Buffer, into: Oid[]): boolean {
  const end = buf.length;
  let pos = 0;
  let left = 2;
  while (pos < end) {
    const code = buf[pos]!;
    if (code === 0x58) {
      // BINUNICODE
      const size = buf[pos + 1]! | (buf[pos + 2]! << 8) | (buf[pos + 3]! << 16) | (buf[pos + 4]! << 24);
      if (size < 0) return false;
      pos += 5 + size;
      // Nearly every string is followed by its number in the memo.
      if (buf[pos] === 0x71) pos += 2;
      continue;
    }
    const step = STEPS[code]!;
    if (step > 0) {
      pos += step;
      continue;
    }
    switch (code) {
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
