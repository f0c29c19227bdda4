/** Walking the transactions of a `Data.fs`, forwards and backwards. */
import { POSKeyError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type {
  CurrentRecord,
  DataRecord,
  HistoryEntry,
  TransactionInfo,
  TransactionRecord,
  TransactionStatus,
} from '../interfaces';
import { TransactionMetaData } from '../transaction-meta';
import type { DataFile } from './data-file';
import { DamagedFileError } from './errors';
import {
  DataHeader,
  DATA_HEADER,
  FIRST_POSITION,
  readNumber,
  Status,
  TransactionHeader,
  TRANSACTION_HEADER,
} from './format';
import type { ScanBuffer } from './scan-buffer';

/** The texts and values of the transaction at `header`. */
export function metaOf(file: DataFile, header: TransactionHeader): TransactionMetaData {
  const { user, description, extension } = file.metadata(header);
  return new TransactionMetaData({ user, description, extension });
}

/** A transaction as the iterators give it. It reads its records from the file when it is asked to. */
export class FileTransaction implements TransactionRecord {
  readonly tid: Tid;
  readonly status: TransactionStatus;
  /** Where it begins in the file. */
  readonly position: number;
  /** Bytes in the file, without the copy of the length at its end. */
  readonly length: number;
  readonly #file: DataFile;
  readonly #start: number;
  readonly #end: number;
  readonly #header: TransactionHeader;
  #meta: TransactionMetaData | undefined;

  constructor(file: DataFile, header: TransactionHeader) {
    this.#file = file;
    this.#header = header;
    this.tid = header.tid;
    this.status = header.status === Status.PACKED ? 'p' : ' ';
    this.position = header.position;
    this.length = header.length;
    this.#start = header.position + header.headerLength;
    this.#end = header.end;
  }

  get meta(): TransactionMetaData {
    return (this.#meta ??= metaOf(this.#file, this.#header));
  }

  *records(): Generator<DataRecord> {
    const file = this.#file;
    for (let at = this.#start; at < this.#end;) {
      const record = file.header(at, undefined, new DataHeader());
      if (at + record.length > this.#end || record.transaction !== this.position) {
        throw new DamagedFileError(file.path, at, 'a data record exceeds its transaction');
      }
      yield this.#record(record);
      at += record.length;
    }
  }

  #record({ oid, tid, size, position }: DataHeader): DataRecord {
    const file = this.#file;
    if (size !== 0)
      return { oid, tid, data: file.cache.bytes(position + DATA_HEADER, size), dataTid: undefined };
    const back = file.backPointer(position);
    const resolved = back === 0 ? undefined : file.resolve(oid, back);
    if (resolved === undefined) return { oid, tid, data: null, dataTid: undefined };
    return { oid, tid, data: resolved.data, dataTid: file.header(back, oid).tid };
  }
}

/** An iterator over a file that stays open for it, also when a pack replaces it. */
export class FileIterator<Item> implements IterableIterator<Item> {
  readonly #file: DataFile;
  readonly #inner: Iterator<Item>;
  readonly #ended: () => void;
  #open = true;

  constructor(file: DataFile, inner: Iterator<Item>, ended: () => void) {
    this.#file = file;
    this.#inner = inner;
    this.#ended = ended;
    file.retain();
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Item> {
    if (!this.#open) return { done: true, value: undefined };
    try {
      const result = this.#inner.next();
      if (result.done) this.#close();
      return result;
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  return(): IteratorResult<Item> {
    this.#close();
    return { done: true, value: undefined };
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.release();
    this.#ended();
  }
}

/** Transactions with `start <= tid <= stop`, oldest first, up to the end that the file has now. */
export function* forwards(file: DataFile, end: number, start: Tid, stop: Tid): Generator<FileTransaction> {
  const reader = file.scanner();
  for (let position = findStart(file, reader, end, start); position < end;) {
    const header = readHeader(file, reader, position);
    if (header.tid > stop) return;
    if (header.status !== Status.UNDONE && header.tid >= start) yield new FileTransaction(file, header);
    position = header.next;
  }
}

/** Transactions with `start >= tid >= stop`, newest first. */
export function* backwards(file: DataFile, end: number, start: Tid, stop: Tid): Generator<FileTransaction> {
  for (const header of headersBackwards(file, end)) {
    if (header.tid < stop) return;
    if (header.status !== Status.UNDONE && header.tid <= start) yield new FileTransaction(file, header);
  }
}

/** Headers from the end to the front. */
export function* headersBackwards(file: DataFile, end: number): Generator<TransactionHeader> {
  for (let position = end; position > FIRST_POSITION;) {
    const lengthAt = file.cache.find(position - 8, 8);
    const length = readNumber(file.cache.block, lengthAt);
    const start = position - 8 - length;
    if (!(start >= FIRST_POSITION) || length < TRANSACTION_HEADER) {
      throw new DamagedFileError(file.path, position - 8, 'the length of a transaction is impossible');
    }
    const header = file.transaction(start);
    if (header.length !== length) {
      throw new DamagedFileError(file.path, position - 8, 'the two lengths of a transaction differ');
    }
    yield header;
    position = start;
  }
}

/** Position of the transaction `tid`, looked for from the end; 0 when there is none that `pack` left alone. */
export function findUnpacked(file: DataFile, tid: Tid): number {
  for (const header of headersBackwards(file, file.size)) {
    if (header.status === Status.PACKED || header.tid < tid) return 0;
    if (header.tid === tid) return header.status === Status.COMPLETE ? header.position : 0;
  }
  return 0;
}

/** What can be undone, newest first. */
export function* undoable(file: DataFile): Generator<TransactionInfo> {
  for (const header of headersBackwards(file, file.size)) {
    if (header.status === Status.PACKED) return;
    if (header.status !== Status.UNDONE) yield new FileTransaction(file, header);
  }
}

/** Revisions of an object, newest first. */
export function historyOf(file: DataFile, oid: Oid, size: number): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  let position = file.index.get(oid);
  if (position === 0) throw new POSKeyError(oid);
  while (position !== 0 && entries.length < size) {
    const record = file.header(position, oid);
    const transaction = file.transaction(record.transaction);
    entries.push({
      tid: record.tid,
      meta: metaOf(file, transaction),
      size: file.resolve(oid, position)?.data.length ?? 0,
    });
    if (!(record.previous < position)) {
      throw new DamagedFileError(file.path, position, 'a pointer to an earlier record points forward');
    }
    position = record.previous;
  }
  return entries;
}

/** Current revisions in order of oids; what is committed meanwhile is not shown. */
export function* currentRecords(file: DataFile, end: number, from: Oid): Generator<CurrentRecord> {
  for (let oid = file.index.next(from); oid !== undefined; oid = file.index.after(oid)) {
    let position = file.index.get(oid);
    while (position >= end) position = file.header(position, oid).previous;
    const resolved = position === 0 ? undefined : file.resolve(oid, position);
    if (resolved !== undefined) yield { oid, data: resolved.data, serial: file.header(position, oid).tid };
  }
}

/** Goes to the first transaction at or after `start`, from the nearer end. */
function findStart(file: DataFile, reader: ScanBuffer, end: number, start: Tid): number {
  if (end <= FIRST_POSITION) return end;
  const first = readHeader(file, reader, FIRST_POSITION).tid;
  if (start <= first) return FIRST_POSITION;
  const newest = headersBackwards(file, end).next().value as TransactionHeader;
  if (start > newest.tid) return end;
  if (start - first < newest.tid - start) {
    let position = FIRST_POSITION;
    for (let header = readHeader(file, reader, position); header.tid < start;) {
      position = header.next;
      header = readHeader(file, reader, position);
    }
    return position;
  }
  let position = end;
  for (const header of headersBackwards(file, end)) {
    if (header.tid < start) break;
    position = header.position;
  }
  return position;
}

function readHeader(file: DataFile, reader: ScanBuffer, position: number): TransactionHeader {
  const offset = reader.find(position, TRANSACTION_HEADER);
  const header = new TransactionHeader().read(reader.buffer, offset, position);
  if (!(header.next <= reader.size) || header.length < header.headerLength) {
    throw new DamagedFileError(file.path, position, 'the length of a transaction is impossible');
  }
  return header;
}
