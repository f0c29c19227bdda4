import type { DataFile } from './data-file';
import { DamagedFileError } from './errors';
import { DataHeader, DATA_HEADER, TransactionHeader, TRANSACTION_HEADER } from './format';
import type { ScanBuffer } from './scan-buffer';

/** Goes through records in file order and checks their structure on the way. */
export class RecordWalker {
  readonly reader: ScanBuffer;
  readonly #file: DataFile;
  readonly #transaction = new TransactionHeader();
  readonly #record = new DataHeader();
  #at = 0;

  constructor(file: DataFile) {
    this.#file = file;
    this.reader = file.scanner();
  }

  /** Goes to the transaction at `position`. The object is the same each time. */
  transaction(position: number): TransactionHeader {
    const { reader } = this;
    if (position + TRANSACTION_HEADER > reader.size) reader.size = this.#file.size;
    const header = this.#transaction;
    const offset = this.#find(position, TRANSACTION_HEADER);
    header.read(reader.buffer, offset, position);
    if (!(header.next <= this.#file.size) || header.length < header.headerLength) {
      throw new DamagedFileError(this.#file.path, position, 'the length of a transaction is impossible');
    }
    if (header.next > reader.size) reader.size = this.#file.size;
    if (reader.number(header.end) !== header.length) {
      throw new DamagedFileError(this.#file.path, header.end, 'the two lengths of a transaction differ');
    }
    return header;
  }

  first(): DataHeader | undefined {
    this.#at = this.#transaction.position + this.#transaction.headerLength;
    return this.#read();
  }

  next(): DataHeader | undefined {
    this.#at += this.#record.length;
    return this.#read();
  }

  /** What the record points back to; it must have no data. */
  back(): number {
    return this.reader.number(this.#record.position + DATA_HEADER);
  }

  /** The record's data, until the next call of anything here. */
  data(): Buffer {
    const { position, size } = this.#record;
    const offset = this.#find(position + DATA_HEADER, size);
    return this.reader.buffer.subarray(offset, offset + size);
  }

  /** The record with its header, until the next call of anything here. */
  bytes(): Buffer {
    const { position, length } = this.#record;
    const offset = this.#find(position, length);
    return this.reader.buffer.subarray(offset, offset + length);
  }

  #read(): DataHeader | undefined {
    const transaction = this.#transaction;
    const record = this.#record;
    if (this.#at >= transaction.end) return undefined;
    const offset = this.#find(this.#at, DATA_HEADER);
    record.read(this.reader.buffer, offset, this.#at);
    if (
      record.version !== 0 ||
      record.transaction !== transaction.position ||
      !(this.#at + record.length <= transaction.end) ||
      !(record.previous < this.#at)
    ) {
      throw new DamagedFileError(this.#file.path, this.#at, 'a data record does not fit its transaction');
    }
    return record;
  }

  #find(position: number, length: number): number {
    return this.reader.find(position, length);
  }
}
