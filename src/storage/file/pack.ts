/**
 * Packing a `Data.fs`: everything that is still needed is copied to `Data.fs.pack`, which then takes the file's place in one step.
 *
 * 1. *Survey* the transactions up to the pack time: which record of each object is current then. Look through those
 *    after it for back pointers into the part to be packed.
 * 2. *Mark* what can be reached from the root, from every record after the pack time, and from what back pointers need. (Python
 *    follows only the references of the pack time, and so loses objects that were linked again later.)
 * 3. *Copy* the marked records of the first part; their transactions get the status 'p'.
 * 4. *Append* the rest as it is, with its pointers mended. Nothing changes length there, so all positions move by the same
 *    distance. Commits go on until the last piece, which is copied together with the exchange of the files, without a pause.
 *
 * A commit that happens meanwhile may refer to an object that was found unreachable. That is noticed while it is appended, and
 * the work begins again with this object marked.
 */
import { StorageError } from '../../errors';
import { newTid, ROOT_OID, tidFromTime, ZERO_TID, type Oid, type Tid } from '../../ids';
import type { PackOptions, PackReport } from '../interfaces';
import type { Steps } from '../steps';
import type { BlobDirectory } from './blob-directory';
import type { DataFile } from './data-file';
import type { FileSystem } from './file-system';
import { appendRest, copyPacked, type PackCopy } from './pack-copy';
import { exchangeFiles, PackTarget } from './pack-files';
import type { RecordWalker } from './record-walker';
import { markReachable, surveyFile, type PackSurvey } from './pack-mark';

/** What a pack works with. */
export interface PackRequest {
  readonly file: DataFile;
  /** The same file, for reading here and there what is current at the pack time. */
  readonly reader: DataFile;
  readonly path: string;
  readonly system: FileSystem;
  readonly options: PackOptions;
  readonly keepOld: boolean;
  readonly references: (record: Uint8Array) => readonly Oid[];
  readonly blobs: BlobDirectory | undefined;
  /** Checks the walker's record against its checksum, where there are any. */
  readonly verify: (position: number, walker: RecordWalker) => void;
  /** Keeps commits out of the last steps. */
  readonly gate: CommitGate;
  /** The new file is in place. Nothing may be written to the old one from now on. */
  readonly replace: (file: DataFile, packedTo: Tid) => void;
  /** The new file is in place, but perhaps not for good: closes the storage and throws. */
  readonly failed: (cause: unknown) => never;
  readonly cacheBytes: number | undefined;
}

/** How a pack waits until no commit is under way, and then keeps it so. */
export interface CommitGate {
  /** True when it is closed now. Until then, let others run and ask again. */
  close(): boolean;
  open(): void;
}

const NOTHING: PackReport = { revisions: 0, objects: 0, blobs: 0, bytes: 0 };

/** Packs; see the head of this file. */
export function* packFile(request: PackRequest): Steps<PackReport> {
  const packTid = packTime(request);
  const survey = yield* surveyFile(request, packTid);
  if (survey === undefined) return NOTHING;
  // Without a root nothing would be reachable.
  const root = survey.current.get(ROOT_OID);
  if ((request.options.gc ?? true) && root !== 0 && request.reader.dataPosition(ROOT_OID, root) !== 0) {
    yield* markReachable(request, survey, [ROOT_OID, ...(request.options.roots ?? [])]);
  }
  if (request.options.dryRun) return yield* dryRun(request, survey);
  for (;;) {
    const result = yield* attempt(request, survey, packTid);
    if (result !== undefined) return result;
  }
}

function packTime({ options, file }: PackRequest): Tid {
  const { time } = options;
  if (time !== undefined && !Number.isFinite(time)) {
    throw new StorageError(`The pack time must be in milliseconds since 1970, not ${time}.`, {
      code: 'INVALID_ARGUMENT',
    });
  }
  if (time === undefined || time >= Date.now()) {
    // All that is committed now, also when the clock runs behind the tids.
    const last = file.lastTid();
    const now = newTid(ZERO_TID);
    return last > now ? last : now;
  }
  return tidFromTime(time);
}

function* dryRun(request: PackRequest, survey: PackSurvey): Steps<PackReport> {
  return (yield* copyPacked(request, survey, undefined)).report;
}

/** One try; `undefined` when something committed meanwhile needs an object that was not copied. */
function* attempt(request: PackRequest, survey: PackSurvey, packTid: Tid): Steps<PackReport | undefined> {
  const target = new PackTarget(request);
  try {
    const copy = yield* copyPacked(request, survey, target);
    const needed = yield* append(request, survey, copy);
    if (needed.length > 0) {
      yield* markReachable(request, survey, needed);
      return undefined;
    }
    exchangeFiles(request, target, copy, packTid);
    return copy.report;
  } finally {
    request.gate.open();
    target.discard();
  }
}

/** Copies what follows the pack time, until nothing is left and the gate is closed. */
function* append(request: PackRequest, survey: PackSurvey, copy: PackCopy): Steps<readonly Oid[]> {
  for (;;) {
    const needed = yield* appendRest(request, survey, copy);
    if (needed.length > 0) return needed;
    if (request.gate.close()) {
      // What was committed until this moment; from here on there is no pause.
      const rest = appendRest(request, survey, copy);
      let step = rest.next();
      while (!step.done) step = rest.next();
      return step.value;
    }
    yield { phase: 'append', done: copy.source, total: request.file.size };
  }
}
