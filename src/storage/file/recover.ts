/**
 * Copying all that is whole out of a damaged `Data.fs`: where a transaction is broken, the file is searched for the next thing that
 * can only be the beginning of one.
 */
import * as fs from 'node:fs';
import { InvalidArgumentError } from '../../errors';
import { ZERO_TID, type Tid } from '../../ids';
import type { DataRecord } from '../interfaces';
import { checkFilePlace } from '../file-place';
import type { Steps } from '../steps';
import { BlobDirectory } from './blob-directory';
import { isBlob } from './blob-record';
import { DataFile } from './data-file';
import { FileStorage } from './file-storage';
import { nodeFileSystem } from './file-system';
import { FIRST_POSITION, readNumber, Status, TransactionHeader, TRANSACTION_HEADER } from './format';
import { FileTransaction } from './iterate';
import { OidIndex } from './oid-index';
import { readMagic } from './open-file';
import { RecordWalker } from './record-walker';

/** Options of {@link recoverFile}. */
export interface RecoverOptions {
  /** Keep the whole records of a transaction of which others are damaged. Default false: such a transaction is left out. */
  readonly partial?: boolean;
  /** Where the damaged file's blobs are. Default the path with `.blobs` added. */
  readonly blobDir?: string;
}

/** What {@link recoverFile} could save. */
export interface RecoverReport {
  readonly transactions: number;
  readonly records: number;
  /** Transactions that were recognised, but not copied or not as a whole. */
  readonly damagedTransactions: number;
  /** Bytes in which no transaction was recognised. */
  readonly skippedBytes: number;
  /** Sentences on each damaged place. */
  readonly problems: readonly string[];
}

const MAX_PROBLEMS = 200;

/** Copies what is whole in `source` to the new file `target`. The source is not changed. */
export function* recoverFile(
  source: string,
  target: string,
  options: RecoverOptions = {},
): Steps<RecoverReport> {
  if (fs.existsSync(target)) throw new InvalidArgumentError(`${target} exists; recover into another file.`);
  checkFilePlace(source, true);
  const fd = fs.openSync(source, 'r');
  try {
    readMagic(nodeFileSystem, fd, source);
    const file = new DataFile(nodeFileSystem, source, fd, new OidIndex(), fs.fstatSync(fd).size);
    const output = new FileStorage(target, { durability: 'normal' });
    try {
      return yield* new Recovery(file, output, options).run();
    } finally {
      output.close();
    }
  } finally {
    fs.closeSync(fd);
  }
}

class Recovery {
  readonly #file: DataFile;
  readonly #output: FileStorage;
  readonly #partial: boolean;
  readonly #blobs: BlobDirectory | undefined;
  readonly #problems: string[] = [];
  readonly #header = new TransactionHeader();
  #transactions = 0;
  #records = 0;
  #damaged = 0;
  #skipped = 0;
  #lastTid: Tid = ZERO_TID;

  constructor(file: DataFile, output: FileStorage, { partial = false, blobDir }: RecoverOptions) {
    this.#file = file;
    this.#output = output;
    this.#partial = partial;
    const directory = blobDir ?? `${file.path}.blobs`;
    this.#blobs = fs.existsSync(directory) ? new BlobDirectory(directory, undefined, true) : undefined;
  }

  *run(): Steps<RecoverReport> {
    const { size } = this.#file;
    let position = FIRST_POSITION;
    while (position < size) {
      if (this.#looksWhole(position)) {
        this.#copy();
        position = this.#header.next;
      } else {
        const next = yield* this.#search(position + 1);
        this.#say(`From ${position} to ${next} there is no whole transaction.`);
        this.#skipped += next - position;
        position = next;
      }
      if (this.#transactions % 100 === 0) yield { phase: 'recover', done: position, total: size };
    }
    return {
      transactions: this.#transactions,
      records: this.#records,
      damagedTransactions: this.#damaged,
      skippedBytes: this.#skipped,
      problems: this.#problems,
    };
  }

  /** Whether a finished transaction begins there, by its header and the copy of its length. */
  #looksWhole(position: number): boolean {
    const { cache, size } = this.#file;
    const header = this.#header;
    if (position + TRANSACTION_HEADER + 8 > size) return false;
    const offset = cache.find(position, TRANSACTION_HEADER);
    // The length alone rules out nearly every place.
    const length = readNumber(cache.block, offset + 8);
    if (!(position + length + 8 <= size) || length < TRANSACTION_HEADER) return false;
    header.read(cache.block, offset, position);
    if (header.status !== Status.COMPLETE && header.status !== Status.PACKED) return false;
    if (header.headerLength > length || header.tid === ZERO_TID) return false;
    const end = cache.find(header.end, 8);
    return readNumber(cache.block, end) === length;
  }

  *#search(from: number): Steps<number> {
    const { size } = this.#file;
    for (let position = from; position < size; position++) {
      if (this.#looksWhole(position)) return position;
      if (position % 100_000 === 0) yield { phase: 'search', done: position, total: size };
    }
    return size;
  }

  #copy(): void {
    const transaction = new FileTransaction(this.#file, new TransactionHeader().read(...this.#headerBytes()));
    const { tid } = transaction;
    const { records, damaged } = this.#wholeRecords(transaction);
    if (damaged > 0) {
      this.#damaged++;
      this.#say(`Of the transaction at ${transaction.position}, ${damaged} records are damaged.`);
      if (!this.#partial || records.length === 0) return;
    }
    if (tid <= this.#lastTid) {
      this.#damaged++;
      this.#say(
        `The transaction at ${transaction.position} is not later than the one before it; it is left out.`,
      );
      return;
    }
    const { meta } = transaction;
    this.#output.tpcBegin(meta, tid, transaction.status);
    try {
      for (const record of records) this.#restore(record, transaction);
      this.#output.tpcVote(meta);
    } catch (error) {
      this.#output.tpcAbort(meta);
      throw error;
    }
    this.#output.tpcFinish(meta);
    this.#lastTid = tid;
    this.#transactions++;
    this.#records += records.length;
  }

  #restore({ oid, tid, data, dataTid }: DataRecord, { meta }: FileTransaction): void {
    if (data !== null && this.#blobs !== undefined && isBlob(data)) {
      try {
        const path = this.#blobs.require(oid, tid);
        this.#output.restoreBlob(oid, data, { path, consume: false }, meta);
        return;
      } catch (error) {
        this.#say((error as Error).message);
      }
    }
    this.#output.restore(oid, data, meta, dataTid);
  }

  #headerBytes(): [Buffer, number, number] {
    const { position } = this.#header;
    return [this.#file.cache.bytes(position, TRANSACTION_HEADER), 0, position];
  }

  #wholeRecords(transaction: FileTransaction): { records: DataRecord[]; damaged: number } {
    const records: DataRecord[] = [];
    try {
      for (const record of transaction.records()) {
        if (record.tid === transaction.tid) records.push(record);
        else return { records, damaged: 1 };
      }
      return { records, damaged: this.#reachesEnd(transaction) ? 0 : 1 };
    } catch (error) {
      this.#say((error as Error).message);
      return { records, damaged: 1 };
    }
  }

  #reachesEnd({ position }: FileTransaction): boolean {
    const walker = new RecordWalker(this.#file);
    const { end } = walker.transaction(position);
    let at = position + walker.transaction(position).headerLength;
    for (let record = walker.first(); record !== undefined; record = walker.next())
      at = record.position + record.length;
    return at === end;
  }

  #say(problem: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
  }
}
