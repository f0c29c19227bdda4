import type { Oid, Tid } from '../../ids';
import type { TransactionMetaData } from '../transaction-meta';
import { crc32 } from './checksums';
import { writeFully, type FileSystem } from './file-system';
import {
  DATA_HEADER,
  encodeDataHeader,
  encodeTransactionHeader,
  Status,
  STATUS_OFFSET,
  writeNumber,
  type Metadata,
} from './format';

/** Above this many bytes a transaction goes to the file before its vote, marked as unfinished. */
const SPILL_BYTES = 32 << 20;
/** Pieces up to this size are joined before they are written. */
const JOIN_BYTES = 1 << 20;

/** The newest record that a transaction under way has of an object. */
export interface PendingRecord {
  readonly position: number;
  /** Position of the record that it repeats, for a back pointer; 0 for a deletion. Undefined when it has data. */
  readonly back: number | undefined;
  /** The data, where undo may look at them again. */
  readonly data: Uint8Array | undefined;
}

/** A transaction that is being put together behind the end of the file. */
export class PendingTransaction {
  readonly txn: TransactionMetaData;
  readonly tid: Tid;
  readonly status: number;
  /** Where the transaction begins. */
  readonly base: number;
  readonly metadata: Metadata;
  readonly records = new Map<Oid, PendingRecord>();
  /** Objects whose data were merged. */
  readonly resolved: Oid[] = [];
  /** Called when the transaction is given up. */
  readonly undoOnAbort: (() => void)[] = [];
  voted = false;

  readonly #system: FileSystem;
  readonly #fd: number;
  #pieces: Uint8Array[] = [];
  #buffered = 0;
  /** Bytes of the transaction that are in the file already. */
  #written = 0;
  /** Where the next record goes. */
  #end: number;
  /** Position and checksum of each record, where checksums are kept. */
  readonly #sums: [position: number, sum: number][] | undefined;

  constructor(
    target: { system: FileSystem; fd: number; base: number; withChecksums: boolean },
    txn: TransactionMetaData,
    tid: Tid,
    status: number,
    metadata: Metadata,
  ) {
    this.#system = target.system;
    this.#fd = target.fd;
    this.base = target.base;
    this.#sums = target.withChecksums ? [] : undefined;
    this.txn = txn;
    this.tid = tid;
    this.status = status;
    this.metadata = metadata;
    const header = encodeTransactionHeader(tid, 0, Status.VOTED, metadata);
    this.#pieces.push(header);
    this.#buffered = header.length;
    this.#end = this.base + header.length;
  }

  get checksums(): readonly (readonly [position: number, sum: number])[] {
    return this.#sums ?? [];
  }

  /** Where the next record will be. */
  get end(): number {
    return this.#end;
  }

  /** Whether anything of it may be in the file. */
  get inFile(): boolean {
    return this.#written > 0 || this.voted;
  }

  /**
   * Adds a record with data, or with a back pointer when `data` is `undefined`.
   * @param keep remember the data for {@link PendingRecord.data}
   */
  append(oid: Oid, previous: number, data: Uint8Array | undefined, back = 0, keep = false): void {
    const size = data?.length ?? 0;
    const header = Buffer.allocUnsafe(data === undefined ? DATA_HEADER + 8 : DATA_HEADER);
    encodeDataHeader(header, 0, oid, this.tid, previous, this.base, size);
    if (data === undefined) writeNumber(header, DATA_HEADER, back);
    this.records.set(oid, {
      position: this.#end,
      back: data === undefined ? back : undefined,
      data: keep ? data : undefined,
    });
    if (this.#sums !== undefined) {
      const sum = crc32(header);
      this.#sums.push([this.#end, data === undefined ? sum : crc32(data, sum)]);
    }
    this.#push(header);
    if (data !== undefined) this.#push(data);
    if (this.#buffered > SPILL_BYTES) this.#flush();
  }

  /** Writes everything, marked as voted; after it the transaction needs one byte more. */
  vote(): void {
    this.voted = true;
    const length = Buffer.alloc(8);
    writeNumber(length, 0, this.#end - this.base);
    const spilled = this.#written > 0;
    if (!spilled) this.#pieces[0]!.set(length, 8);
    this.#push(length);
    this.#flush();
    if (spilled) writeFully(this.#system, this.#fd, length, this.base + 8);
  }

  /** Writes the byte that makes it a committed transaction. */
  markComplete(): void {
    writeFully(this.#system, this.#fd, Buffer.from([this.status]), this.base + STATUS_OFFSET);
  }

  #push(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    this.#end += piece.length;
  }

  #flush(): void {
    let at = this.base + this.#written;
    let group: Uint8Array[] = [];
    let grouped = 0;
    const writeGroup = (): void => {
      if (grouped === 0) return;
      const bytes = group.length === 1 ? group[0]! : Buffer.concat(group, grouped);
      // Counted first: after a failure part of it may be in the file.
      this.#written += bytes.length;
      writeFully(this.#system, this.#fd, bytes, at);
      at += bytes.length;
      group = [];
      grouped = 0;
    };
    for (const piece of this.#pieces) {
      if (grouped + piece.length > JOIN_BYTES) writeGroup();
      group.push(piece);
      grouped += piece.length;
    }
    writeGroup();
    this.#pieces = [];
    this.#buffered = 0;
  }
}
