/** The second half of a pack: copying what stays. */
import { StorageError } from '../../errors';
import type { Oid } from '../../ids';
import type { PackReport } from '../interfaces';
import type { Steps } from '../steps';
import {
  encodeDataHeader,
  encodeTransactionHeader,
  DATA_HEADER,
  FIRST_POSITION,
  Status,
  writeNumber,
} from './format';
import { OidIndex } from './oid-index';
import { OidSet } from './oid-set';
import type { PackRequest } from './pack';
import type { PackTarget } from './pack-files';
import { isKept, referencesAt, type PackSurvey } from './pack-mark';
import { RecordWalker } from './record-walker';

const STEP = 200;

/** How far the copying is. */
export interface PackCopy {
  /** Everything before this position of the old file is copied. */
  source: number;
  /** By how many bytes what comes after the pack time moves to the front. */
  readonly shift: number;
  /** Where the objects are in the new file. */
  readonly index: OidIndex;
  /** New positions of the records that back pointers need. */
  readonly moved: ReadonlyMap<number, number>;
  readonly report: PackReport;
  /** Blob revisions that are not copied: the object, its tid as two words. */
  readonly droppedBlobs: readonly DroppedBlob[];
  readonly target: PackTarget | undefined;
}

/** A blob revision whose record is not copied. */
export interface DroppedBlob {
  readonly oid: Oid;
  readonly tid: bigint;
}

/** Copies the part up to the pack time; without a target only counts. */
export function* copyPacked(
  request: PackRequest,
  survey: PackSurvey,
  target: PackTarget | undefined,
): Steps<PackCopy> {
  const { file, reader } = request;
  const index = new OidIndex();
  const moved = new Map<number, number>();
  const droppedBlobs: DroppedBlob[] = [];
  const dropped = new OidIndex();
  const blobOids = new OidSet();
  // By the files, not by the records: those may be encoded by a layer above.
  for (const { oid } of request.blobs?.list() ?? []) blobOids.add(oid);
  const walker = new RecordWalker(file);
  const head = Buffer.allocUnsafe(DATA_HEADER);
  const deleted = Buffer.alloc(8);
  let out = FIRST_POSITION;
  let revisions = 0;
  let bytes = 0;
  let count = 0;
  let position = FIRST_POSITION;
  while (position < survey.packPosition) {
    const transaction = walker.transaction(position);
    const { next, tid } = transaction;
    const start = out;
    for (let record = walker.first(); record !== undefined; record = walker.next()) {
      if (++count % STEP === 0) yield { phase: 'copy', done: position, total: survey.packPosition };
      const { oid, size, position: at } = record;
      if (!isKept(survey, record, walker)) {
        revisions++;
        bytes += size;
        dropped.set(oid, at);
        if (blobOids.has(oid)) droppedBlobs.push({ oid, tid: record.tid });
        continue;
      }
      request.verify(at, walker);
      if (out === start) {
        // Its length is put in when it is known.
        const header = encodeTransactionHeader(tid, 0, Status.PACKED, reader.metadata(transaction));
        target?.write(header);
        out += header.length;
      }
      const data = size === 0 ? reader.resolve(oid, at)?.data : walker.data();
      if (survey.pointedTo.has(at)) moved.set(at, out);
      index.set(oid, out);
      const length = data?.length ?? 0;
      encodeDataHeader(head, 0, oid, tid, 0, start, length);
      target?.write(head);
      target?.write(data ?? deleted);
      out += DATA_HEADER + (length === 0 ? 8 : length);
    }
    if (out > start) {
      target?.setLength(start, out - start);
      out += 8;
    }
    position = next;
  }
  let objects = 0;
  dropped.forEach((oid, at) => {
    if (index.get(oid) === 0 && file.index.get(oid) === at) objects++;
  });
  return {
    source: survey.packPosition,
    shift: survey.packPosition - out,
    index,
    moved,
    report: { revisions, objects, blobs: droppedBlobs.length, bytes },
    droppedBlobs,
    target,
  };
}

/**
 * Copies the transactions that follow as they are, with their pointers mended. Returns objects that they need and that were not
 * copied.
 */
export function* appendRest(request: PackRequest, survey: PackSurvey, copy: PackCopy): Steps<readonly Oid[]> {
  const { file } = request;
  const walker = new RecordWalker(file);
  const needed = new Set<Oid>();
  let bytes = 0;
  while (copy.source < file.size) {
    const transaction = walker.transaction(copy.source);
    const isNew = transaction.position >= survey.surveyedTo;
    const { next, length, position } = transaction;
    const records: { oid: Oid; at: number; previous: number; back: number }[] = [];
    for (let record = walker.first(); record !== undefined; record = walker.next()) {
      const { oid, position: at, previous, size } = record;
      request.verify(at, walker);
      records.push({ oid, at, previous, back: size === 0 ? walker.back() : -1 });
      if (isNew && size !== 0 && survey.reachable !== undefined) {
        for (const target of referencesAt(request, at, walker.data())) {
          if (survey.current.get(target) !== 0 && !survey.reachable.has(target)) needed.add(target);
        }
      }
    }
    const image = walker.reader.copy(position, length + 8);
    for (const { oid, at, previous, back } of records) {
      const offset = at - position;
      writeNumber(image, offset + 16, previous === 0 ? 0 : copy.index.get(oid));
      writeNumber(image, offset + 24, position - copy.shift);
      if (back > 0) writeNumber(image, offset + DATA_HEADER, newBack(survey, copy, back));
    }
    // Two records of an object in one transaction both point to what was there before it.
    for (const { oid, at } of records) copy.index.set(oid, at - copy.shift);
    copy.target?.write(image);
    copy.source = next;
    bytes += image.length;
    if (bytes > 1 << 18) {
      bytes = 0;
      yield { phase: 'append', done: copy.source, total: file.size };
    }
  }
  return [...needed];
}

function newBack(survey: PackSurvey, copy: PackCopy, back: number): number {
  if (back >= survey.packPosition) return back - copy.shift;
  const moved = copy.moved.get(back);
  if (moved === undefined)
    throw new StorageError(`A back pointer to ${back} appeared while the file was packed.`);
  return moved;
}
