/**
 * States that are as expected: the same fields as those of the last object of the class. Their names are compared with the bytes,
 * and neither they nor the usual values go over the stack. Wherever something else comes, the stack is laid out as the machine would
 * have it there, and the machine goes on.
 */
import { Machine } from './machine';
import { Memo } from './memo';
import { FLOAT_NOTE } from './notes';
import type { PreparedNames } from './prepared-names';
import { WriteAs } from './write-as';

/** How far behind a name or an item bytes are looked at before the next look at the end. */
const SPAN = 16;
const COST_LIST = 32;

export class ColumnReader extends Machine {
  /** A list that ends otherwise than expected, with the items that it has so far; and whether there is a mark before them. */
  protected openList: unknown[] | undefined = undefined;
  protected openMark = false;

  /**
   * Reads a pickle that is a dict with these names: true when it was all of that, else {@link run} is to go on. Whether the floats
   * are where they were expected is in `asExpected`; where they are not, names and kinds are set too.
   */
  protected readExpected(names: PreparedNames): boolean {
    const { buf, end } = this;
    const start = this.pos;
    const count = names.names.length;
    const first = start + (count > 1 ? 6 : 5);
    if (
      first > end ||
      buf[start] !== 0x80 ||
      buf[start + 1] !== 3 ||
      buf[start + 2] !== 0x7d ||
      buf[start + 3] !== 0x71 ||
      (count > 1 && buf[start + 5] !== 0x28)
    ) {
      return false;
    }
    this.protocol = 3;
    this.memo.reserve(buf[start + 4]!);
    this.pos = first;
    this.asExpected = true;
    const done = this.readFields(names);
    const pos = this.pos;
    if (done === count && buf[pos] === (count > 1 ? 0x75 : 0x73) && buf[pos + 1] === 0x2e && pos + 2 <= end) {
      this.pos = pos + 2;
      if (!this.asExpected) {
        for (let i = 0; i < count; i++) this.columnNames[i] = names.names[i]!;
        this.columnCount = count;
      }
      return true;
    }
    this.asExpected = false;
    this.layOut(names, done, start + 2, buf[start + 4]!);
    return false;
  }

  /** Reads fields, and gives how many are whole. */
  protected readFields(names: PreparedNames): number {
    const { buf, memo, end } = this;
    const { view, readable } = this.input;
    const count = names.names.length;
    const values = (this.columnValues = new Array<unknown>(count));
    const span = names.largest + SPAN;
    for (let i = 0; i < count; i++) {
      const at = this.pos;
      if (at + span > readable || !names.standsAt(view, at, i)) return i;
      let pos = at + names.sizes[i]!;
      // Behind the end there may be what is left of an input before.
      if (pos + 2 >= end) return i;
      if (buf[pos] === 0x71) {
        memo.reserveText(buf[pos + 1]!, at + 1, names.names[i]!);
        pos += 2;
      }
      const isFloat = buf[pos] === 0x47;
      if (names.isFloat[i] !== isFloat) this.asExpected = false;
      this.columnKinds[i] = isFloat ? WriteAs.float : WriteAs.auto;
      const value = buf[pos] === 0x5d ? this.readList(pos) : this.readScalar(pos);
      if (value === undefined) {
        if (this.openList === undefined) this.pos = at;
        return i;
      }
      values[i] = value;
    }
    return count;
  }

  /** A list of scalars at `at`. `undefined` for any other: then it is in `openList` if it was begun. */
  protected readList(at: number): unknown[] | undefined {
    const { buf, end } = this;
    const { readable } = this.input;
    if (buf[at + 1] !== 0x71 || at + 4 > end) return undefined;
    const list: unknown[] = [];
    this.builder.charge(COST_LIST);
    this.memo.put(buf[at + 2]!, list);
    const marked = buf[at + 3] === 0x28;
    let pos = (this.pos = at + (marked ? 4 : 3));
    while (pos + SPAN <= readable && pos < end) {
      if (marked && buf[pos] === 0x65) {
        this.pos = pos + 1;
        return list;
      }
      const item = this.readScalar(pos);
      if (item === undefined) {
        this.pos = pos;
        // Without a mark it may be that nothing comes.
        if (!marked) return list;
        break;
      }
      list.push(item);
      pos = this.pos;
      if (marked) continue;
      if (buf[pos] !== 0x61 || pos >= end) break;
      this.pos = pos + 1;
      return list;
    }
    this.openList = list;
    this.openMark = marked;
    return undefined;
  }

  /** A value that stands alone, of those that are frequent; `undefined` for any other. Moves behind it. */
  protected readScalar(at: number): unknown {
    const { buf, memo, end } = this;
    const view = this.input.view;
    let pos = at + 1;
    let value: unknown = undefined;
    switch (buf[at]) {
      case 0x58: {
        // BINUNICODE
        const size = view.getUint32(pos, true);
        const start = pos + 4;
        if (size > end - start) return undefined;
        pos = start + size;
        const text = this.strings.value(start, pos);
        if (text !== undefined && buf[pos] === 0x71) {
          if (size <= 16) memo.reserveText(buf[pos + 1]!, start - 4, text);
          else memo.put(buf[pos + 1]!, text);
          pos += 2;
        }
        value = text;
        break;
      }
      case 0x4b: // BININT1
        value = buf[pos++];
        break;
      case 0x4d: // BININT2
        value = buf[pos]! | (buf[pos + 1]! << 8);
        pos += 2;
        break;
      case 0x4a: // BININT
        value = view.getInt32(pos, true);
        pos += 4;
        break;
      case 0x47: // BINFLOAT
        value = view.getFloat64(pos);
        pos += 8;
        break;
      case 0x4e: // NONE
        value = null;
        break;
      case 0x88: // NEWTRUE
        value = true;
        break;
      case 0x89: // NEWFALSE
        value = false;
        break;
      case 0x68: {
        // BINGET
        const known = memo.get(buf[pos++]!);
        if (!Memo.isWrapped(known)) value = known;
        break;
      }
      case 0x43: // SHORT_BINBYTES
        if (buf[pos] !== 8 || pos + 9 > end || this.persistentLoad8 === undefined) return undefined;
        if (!this.isShortReference(pos + 1, at)) return undefined;
        value = this.reference;
        this.reference = undefined;
        return value;
      default:
    }
    if (pos > end) return undefined;
    this.pos = pos;
    return value;
  }

  /** Lays the stack out as the machine would have it now: the dict, `count` fields, the list that was begun. */
  protected layOut(names: PreparedNames, count: number, dictAt: number, dictMemo: number): void {
    const { stack, notes, marks, columnValues, columnKinds } = this;
    notes.push(0, dictAt);
    notes.memos[0] = dictMemo;
    stack[0] = undefined;
    let place = 1;
    if (names.names.length > 1) marks[this.startMarks++] = place;
    for (let i = 0; i < count; i++) {
      stack[place++] = names.names[i];
      if (columnKinds[i] === WriteAs.float && Number.isInteger(columnValues[i]))
        notes.push(place, FLOAT_NOTE);
      stack[place++] = columnValues[i];
    }
    const list = this.openList;
    if (list !== undefined) {
      this.openList = undefined;
      stack[place++] = names.names[count];
      stack[place++] = list;
      if (this.openMark) marks[this.startMarks++] = place;
      for (const item of list.splice(0)) stack[place++] = item;
    }
    this.startPlace = place;
    this.columnValues = [];
  }
}
