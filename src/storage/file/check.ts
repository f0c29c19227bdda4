/** Looking at all of a `Data.fs`: its structure, its pointers, its index, what objects refer to, its blobs. */
import { formatOid, formatTid, type Oid } from '../../ids';
import type { CheckReport } from '../interfaces';
import type { Steps } from '../steps';
import type { BlobDirectory } from './blob-directory';
import { isBlob } from './blob-record';
import type { DataFile } from './data-file';
import { FIRST_POSITION, type DataHeader } from './format';
import { OidIndex } from './oid-index';
import { RecordWalker } from './record-walker';

/** Problems beyond this many are only counted. */
const MAX_PROBLEMS = 1000;
const STEP = 200;

/** What {@link checkFile} looks at. */
export interface CheckRequest {
  readonly file: DataFile;
  readonly blobs: BlobDirectory | undefined;
  readonly references: (record: Uint8Array) => readonly Oid[];
}

export function* checkFile(request: CheckRequest): Steps<CheckReport> {
  const check = new FileCheck(request);
  yield* check.transactions();
  yield* check.objects();
  return check.report;
}

class FileCheck {
  readonly #request: CheckRequest;
  readonly #file: DataFile;
  readonly #end: number;
  readonly #problems: string[] = [];
  readonly #newest = new OidIndex();
  #omitted = 0;
  #revisions = 0;
  #objects = 0;

  constructor(request: CheckRequest) {
    this.#request = request;
    this.#file = request.file;
    this.#end = request.file.size;
  }

  get report(): CheckReport {
    const problems =
      this.#omitted === 0
        ? this.#problems
        : [...this.#problems, `And ${this.#omitted} more problems like these.`];
    return { objects: this.#objects, revisions: this.#revisions, problems };
  }

  *transactions(): Steps<void> {
    const walker = new RecordWalker(this.#file);
    let lastTid = 0n;
    for (let position = FIRST_POSITION; position < this.#end;) {
      try {
        const transaction = walker.transaction(position);
        if (transaction.tid <= lastTid)
          this.#say(`The transaction at ${position} is not later than the one before it.`);
        lastTid = transaction.tid;
        for (let record = walker.first(); record !== undefined; record = walker.next()) {
          if (record.tid !== transaction.tid)
            this.#say(`The record at ${record.position} has another tid than its transaction.`);
          this.#checkPointers(record, walker);
          this.#attempt(() => this.#file.checksums?.verify(this.#file.path, record.position, walker.bytes()));
          if (++this.#revisions % STEP === 0) yield { phase: 'check', done: position, total: this.#end };
        }
        position = transaction.next;
      } catch (error) {
        // Where one transaction ends nobody knows where the next begins.
        this.#say(String((error as Error).message));
        return;
      }
    }
    this.#compareIndex();
  }

  *objects(): Steps<void> {
    const { index } = this.#file;
    for (let oid = index.next(0 as Oid); oid !== undefined; oid = index.after(oid)) {
      const current = oid;
      this.#attempt(() => this.#checkObject(current));
      if (++this.#objects % STEP === 0) yield { phase: 'references', done: this.#objects, total: index.size };
    }
  }

  #checkPointers(record: DataHeader, walker: RecordWalker): void {
    const { oid, position, previous, size } = record;
    const expected = this.#newest.get(oid);
    // 0 is what packing leaves.
    if (
      previous !== 0 &&
      previous !== expected &&
      previous !== this.#file.header(expected || position, undefined).previous
    ) {
      this.#say(
        `The record of ${formatOid(oid)} at ${position} points to ${previous}, not to the one before it at ${expected}.`,
      );
    }
    if (size === 0) {
      const back = walker.back();
      if (back !== 0 && !(back < position))
        this.#say(`The record of ${formatOid(oid)} at ${position} points forward to ${back}.`);
      else if (back !== 0) this.#attempt(() => this.#file.header(back, oid));
    }
    this.#newest.set(oid, position);
  }

  #compareIndex(): void {
    this.#newest.forEach((oid, position) => {
      const indexed = this.#file.index.get(oid);
      if (indexed !== position && indexed < this.#end) {
        this.#say(
          `The index says that ${formatOid(oid)} is at ${indexed}; it is at ${position}. Remove the .index file.`,
        );
      }
    });
  }

  #checkObject(oid: Oid): void {
    const position = this.#file.index.get(oid);
    const resolved = this.#file.resolve(oid, position);
    if (resolved === undefined) return;
    for (const target of this.#request.references(resolved.data)) {
      if (!this.#file.exists(target))
        this.#say(`${formatOid(oid)} refers to ${formatOid(target)}, which does not exist.`);
    }
    const { blobs } = this.#request;
    const { tid } = this.#file.header(position, oid);
    if (blobs !== undefined && isBlob(resolved.data) && !blobs.has(oid, tid)) {
      this.#say(`The blob ${formatOid(oid)} of ${formatTid(tid)} has no file ${blobs.pathOf(oid, tid)}.`);
    }
  }

  #attempt(look: () => unknown): void {
    try {
      look();
    } catch (error) {
      this.#say((error as Error).message);
    }
  }

  #say(problem: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
    else this.#omitted++;
  }
}
