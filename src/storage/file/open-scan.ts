/**
 * Reading a `Data.fs` from some position to its end, as it is opened: which objects are where, and where the file
 * really ends. The rules, and their order, are those of `read_index` in `ZODB/src/ZODB/FileStorage/FileStorage.py`.
 */
import type { Oid, Tid } from '../../ids';
import { DamagedFileError } from './errors';
import {
  DataHeader,
  DATA_HEADER,
  FIRST_POSITION,
  Status,
  TransactionHeader,
  TRANSACTION_HEADER,
} from './format';
import type { OidIndex } from './oid-index';
import type { ScanBuffer } from './scan-buffer';

/** Something odd that opening passes over, as Python does. */
export interface ScanWarning {
  readonly position: number;
  readonly message: string;
}

/** What {@link scanFile} found behind the last whole transaction. */
export type TailKind = 'none' | 'short' | 'torn' | 'voted' | 'garbage';

/** Where the scan ended and why. */
export interface ScanResult {
  /** The end of the last whole transaction. */
  readonly end: number;
  /** Its tid. */
  readonly lastTid: Tid;
  /** What comes after it: everything but `none` is to be cut off, everything but `short` (less than a header) saved. */
  readonly tail: TailKind;
  readonly transactions: number;
  readonly warnings: readonly ScanWarning[];
}

/** Warnings beyond this many are only counted. */
const MAX_WARNINGS = 20;

/** Where a scan begins. */
export interface ScanStart {
  readonly path: string;
  readonly position: number;
  /** Tid of the transaction before `position`. */
  readonly lastTid: Tid;
  /** Leave out this transaction and all after it. */
  readonly stop?: Tid;
  /** Called for each whole transaction when it is in the index: its tid, its objects (until the next call), and where it ends. */
  readonly seen?: (tid: Tid, oids: readonly Oid[], next: number) => void;
}

/** Adds to `index` what is stored from `start.position` on. `DamagedFileError` when a transaction is broken inside. */
export function scanFile(reader: ScanBuffer, index: OidIndex, start: ScanStart): ScanResult {
  return new OpenScan(reader, index, start).run();
}

class OpenScan {
  readonly #reader: ScanBuffer;
  readonly #index: OidIndex;
  readonly #start: ScanStart;
  readonly #warnings: ScanWarning[] = [];
  #moreWarnings = 0;
  readonly #header = new TransactionHeader();
  readonly #record = new DataHeader();
  /** Of the transaction being read: its objects enter the index only when it proves whole. */
  readonly #oids: Oid[] = [];
  readonly #positions: number[] = [];

  constructor(reader: ScanBuffer, index: OidIndex, start: ScanStart) {
    this.#reader = reader;
    this.#index = index;
    this.#start = start;
  }

  run(): ScanResult {
    const reader = this.#reader;
    const header = this.#header;
    let position = this.#start.position;
    let lastTid = this.#start.lastTid;
    let transactions = 0;
    let tail: TailKind = 'none';
    while (position < reader.size) {
      tail = this.#readHeader(position);
      if (tail !== 'none') break;
      if (header.tid <= lastTid) this.#warn(position, 'a transaction is not later than the one before it');
      if (this.#start.stop !== undefined && header.tid >= this.#start.stop) break;
      this.#oids.length = 0;
      if (header.status === Status.UNDONE) this.#checkEnd();
      else this.#readRecords();
      this.#start.seen?.(header.tid, this.#oids, header.next);
      lastTid = header.tid;
      position = header.next;
      transactions++;
    }
    if (this.#moreWarnings > 0)
      this.#warnings.push({ position, message: `and ${this.#moreWarnings} more like these` });
    return { end: position, lastTid, tail, transactions, warnings: this.#warnings };
  }

  #readHeader(position: number): TailKind {
    const reader = this.#reader;
    const header = this.#header;
    if (position + TRANSACTION_HEADER > reader.size) return 'short';
    const offset = reader.find(position, TRANSACTION_HEADER);
    header.read(reader.buffer, offset, position);
    if (header.status >= 0x80) throw this.#damage(position, `the status byte is ${header.status}`);
    if (!(header.next <= reader.size)) return 'torn';
    if (header.status === Status.VOTED) return 'voted';
    if (
      header.status !== Status.COMPLETE &&
      header.status !== Status.PACKED &&
      header.status !== Status.UNDONE
    ) {
      this.#warn(
        position,
        `a transaction has the unknown status ${JSON.stringify(String.fromCharCode(header.status))}`,
      );
    }
    if (header.length < header.headerLength) return this.#explainShortLength(position);
    return 'none';
  }

  /** Too short to be a transaction: is it damage inside the file, or junk at its end? */
  #explainShortLength(position: number): TailKind {
    const reader = this.#reader;
    const lastLength = reader.number(reader.size - 8);
    if (reader.size - lastLength < position || lastLength < TRANSACTION_HEADER) return 'garbage';
    throw this.#damage(position, 'the length of a transaction is less than that of its header');
  }

  #readRecords(): void {
    const reader = this.#reader;
    const header = this.#header;
    const record = this.#record;
    const { end } = header;
    let position = header.position + header.headerLength;
    this.#positions.length = 0;
    while (position < end) {
      if (position + DATA_HEADER > end) throw this.#damage(position, 'a data record exceeds its transaction');
      const offset = reader.find(position, DATA_HEADER);
      record.read(reader.buffer, offset, position);
      if (record.version !== 0) {
        throw this.#damage(position, 'a data record belongs to a version, a feature that ZODB gave up');
      }
      if (position + record.length > end || record.transaction !== header.position) {
        throw this.#damage(position, 'a data record exceeds its transaction');
      }
      this.#checkPrevious(record);
      this.#oids.push(record.oid);
      this.#positions.push(position);
      position += record.length;
    }
    if (position !== end)
      throw this.#damage(header.position, "the data records of a transaction don't add up");
    this.#checkEnd();
    for (let i = 0; i < this.#oids.length; i++) this.#index.set(this.#oids[i]!, this.#positions[i]!);
  }

  /** A wrong pointer costs old revisions only. In packed files it is 0 by design. */
  #checkPrevious(record: DataHeader): void {
    if (record.previous !== 0 && this.#index.get(record.oid) !== record.previous) {
      this.#warn(record.position, 'a data record has a wrong pointer to the one before it');
    }
  }

  #checkEnd(): void {
    const header = this.#header;
    if (this.#reader.number(header.end) !== header.length) {
      throw this.#damage(header.end, 'the two lengths of a transaction differ');
    }
  }

  #warn(position: number, message: string): void {
    if (this.#warnings.length < MAX_WARNINGS) this.#warnings.push({ position, message });
    else this.#moreWarnings++;
  }

  #damage(position: number, what: string): DamagedFileError {
    return new DamagedFileError(this.#start.path, position, what);
  }
}

/** How many records at the end of a saved index are compared with the file. */
const SAMPLE = 5;

/**
 * Whether a saved index belongs to this file: the last records before its end must be where it says. Returns the tid of the
 * transaction at its end; `undefined` when the index lies.
 */
export function verifyIndex(reader: ScanBuffer, index: OidIndex, end: number): Tid | undefined {
  // Python's limit: a file with anything in it is longer.
  if (end < 100 || end > reader.size) return undefined;
  const header = new TransactionHeader();
  let lastTid: Tid | undefined;
  let position = end;
  while (position > FIRST_POSITION) {
    const length = reader.number(position - 8);
    position -= length + 8;
    if (!(position >= FIRST_POSITION) || length < TRANSACTION_HEADER) return undefined;
    const offset = reader.find(position, TRANSACTION_HEADER);
    header.read(reader.buffer, offset, position);
    lastTid ??= header.tid;
    if (header.length !== length) return undefined;
    if (header.status === Status.UNDONE) continue;
    if (header.status !== Status.COMPLETE && header.status !== Status.PACKED) return undefined;
    if (length < header.headerLength) return undefined;
    // One without records tells nothing.
    if (length > header.headerLength) return verifyRecords(reader, index, header) ? lastTid : undefined;
  }
  return index.size === 0 ? lastTid : undefined;
}

function verifyRecords(reader: ScanBuffer, index: OidIndex, header: TransactionHeader): boolean {
  const record = new DataHeader();
  let at = header.position + header.headerLength;
  for (let checked = 0; at < header.end && checked < SAMPLE; checked++) {
    if (at + DATA_HEADER > header.end) return false;
    const offset = reader.find(at, DATA_HEADER);
    record.read(reader.buffer, offset, at);
    if (at + record.length > header.end || record.transaction !== header.position) return false;
    // An object undone twice has two records in one transaction; the later one counts.
    const indexed = index.get(record.oid);
    if (indexed < at || indexed >= header.end) return false;
    at += record.length;
  }
  return true;
}
