/** The first half of a pack: what is current at the pack time, and what can be reached. */
import type { Oid, Tid } from '../../ids';
import type { Progress, Steps } from '../steps';
import type { DataFile } from './data-file';
import { DamagedFileError } from './errors';
import { FIRST_POSITION, Status, type DataHeader } from './format';
import { OidIndex } from './oid-index';
import { OidSet } from './oid-set';
import type { PackRequest } from './pack';
import { RecordWalker } from './record-walker';

/** Records looked at between two steps. */
const STEP = 200;

/** What is known before anything is copied. */
export interface PackSurvey {
  /** Position of the first transaction after the pack time. */
  readonly packPosition: number;
  /** How far the file was surveyed. */
  readonly surveyedTo: number;
  /** Positions of the records that are current at the pack time. Of deleted objects it may have the deletion, which doesn't stay. */
  readonly current: OidIndex;
  /** Positions before the pack time that back pointers after it need. */
  readonly pointedTo: Set<number>;
  /** What can be reached; `undefined` without garbage collection. */
  reachable: OidSet | undefined;
}

/** Whether the walker's record, before the pack time, stays. */
export function isKept(
  survey: PackSurvey,
  { oid, position, size }: DataHeader,
  walker: RecordWalker,
): boolean {
  if (survey.pointedTo.has(position)) return true;
  if (size === 0 && walker.back() === 0) return false;
  if (survey.current.get(oid) !== position) return false;
  return survey.reachable === undefined || survey.reachable.has(oid);
}

/** Surveys the file; `undefined` when there is nothing to pack. */
export function* surveyFile(request: PackRequest, packTid: Tid): Steps<PackSurvey | undefined> {
  const { file } = request;
  const end = file.size;
  if (packTid >= file.lastTid()) return surveyAll(file);
  const current = new OidIndex();
  const pointedTo = new Set<number>();
  const walker = new RecordWalker(file);
  let unpacked = false;
  let position = FIRST_POSITION;
  let count = 0;
  while (position < end) {
    const transaction = walker.transaction(position);
    if (transaction.tid > packTid) break;
    if (transaction.status !== Status.PACKED) unpacked = true;
    for (let record = walker.first(); record !== undefined; record = walker.next()) {
      if (record.size !== 0 || walker.back() !== 0) current.set(record.oid, record.position);
      else current.delete(record.oid);
      if (++count % STEP === 0) yield { phase: 'survey', done: position, total: end };
    }
    position = transaction.next;
  }
  const packPosition = position;
  if (packPosition === FIRST_POSITION) return undefined;
  // All of it was packed before, and to a later time at that.
  if (!unpacked && position < end && walker.transaction(position).status === Status.PACKED) return undefined;
  while (position < end) {
    const transaction = walker.transaction(position);
    for (let record = walker.first(); record !== undefined; record = walker.next()) {
      const back = record.size === 0 ? walker.back() : 0;
      if (back !== 0 && back < packPosition) pointedTo.add(back);
      if (++count % STEP === 0) yield { phase: 'survey', done: position, total: end };
    }
    position = transaction.next;
  }
  return { packPosition, surveyedTo: end, current, pointedTo, reachable: undefined };
}

/** When all that is committed is to be packed, what is current stands in the index. */
function surveyAll(file: DataFile): PackSurvey | undefined {
  const end = file.size;
  if (end === FIRST_POSITION) return undefined;
  // A copy: others commit while the pack goes on.
  const current = file.index.clone();
  return { packPosition: end, surveyedTo: end, current, pointedTo: new Set(), reachable: undefined };
}

/** Marks what can be reached from `roots`, and (the first time) from every record that is kept anyway. */
export function* markReachable(request: PackRequest, survey: PackSurvey, roots: readonly Oid[]): Steps<void> {
  const { file, reader } = request;
  const first = survey.reachable === undefined;
  const reachable = (survey.reachable ??= new OidSet());
  const todo: Oid[] = [];
  const add = (oid: Oid): void => {
    if (reachable.add(oid)) todo.push(oid);
  };
  let done = 0;
  const progress = (): Progress => ({ phase: 'mark', done, total: file.index.size });
  for (const oid of roots) add(oid);
  if (first) {
    for (const position of survey.pointedTo) {
      const { oid } = reader.header(position, undefined);
      const resolved = reader.resolve(oid, position);
      if (resolved !== undefined) referencesAt(request, position, resolved.data).forEach(add);
      if (++done % STEP === 0) yield progress();
    }
    const walker = new RecordWalker(file);
    for (let position = survey.packPosition; position < survey.surveyedTo;) {
      const transaction = walker.transaction(position);
      for (let record = walker.first(); record !== undefined; record = walker.next()) {
        add(record.oid);
        if (record.size !== 0) referencesAt(request, record.position, walker.data()).forEach(add);
        if (++done % STEP === 0) yield progress();
      }
      position = transaction.next;
    }
  }
  while (todo.length > 0) {
    const oid = todo.pop()!;
    const position = survey.current.get(oid);
    if (position === 0) continue;
    const resolved = reader.resolve(oid, position);
    if (resolved !== undefined) referencesAt(request, position, resolved.data).forEach(add);
    if (++done % STEP === 0) yield progress();
  }
}

/** The references of the record at `position`. `DamagedFileError` when it is no record. */
export function referencesAt(request: PackRequest, position: number, data: Uint8Array): readonly Oid[] {
  try {
    return request.references(data);
  } catch (error) {
    throw new DamagedFileError(request.file.path, position, "the references of a record can't be read", {
      cause: error,
    });
  }
}
