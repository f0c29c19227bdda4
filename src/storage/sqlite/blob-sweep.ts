import type { Progress } from '../steps';
import type { Blobs } from './blobs';
import { oidOfKey } from './current-scan';
import type { Handle } from './handle';
import type { PackCounts } from './pack';
import { sealedSeq } from './record-format';
import type { Revisions } from './revisions';

/** A content that was staged, and not touched for so long, was left behind. */
const LEFT_BEHIND_MS = 60 * 60 * 1000;
const CHUNK = 200;

/** A step that writes, as the pack does them. */
export type WriteStep = (phase: string, work: () => undefined | void) => Generator<Progress, void, void>;

/** Removes the contents of revisions that are gone, and contents that an upload left behind. */
export function* sweepBlobs(
  handle: Handle,
  revisions: Revisions,
  blobs: Blobs,
  counts: PackCounts,
  write: WriteStep,
): Generator<Progress, void, void> {
  const next = handle
    .prepare<[bigint, bigint]>(
      'SELECT oid, seq FROM blob WHERE (oid, seq) > (?, ?) ORDER BY oid, seq LIMIT ?',
    )
    .raw()
    .safeIntegers();
  const drop = handle.prepare('DELETE FROM blob WHERE oid = ? AND seq = ?');
  for (let oid = -(2n ** 63n), seq = 0n; ;) {
    const rows = next.all(oid, seq, CHUNK);
    if (rows.length === 0) break;
    [oid, seq] = rows.at(-1)!;
    // Looked up after the rows were read, so that what was committed with them is there.
    const kept = new KeptRevisions(revisions);
    const gone = rows.filter(([key, at]) => !kept.has(key, Number(at)));
    if (gone.length > 0) {
      // What is gone does not come back.
      yield* write('blobs', () => {
        for (const row of gone) drop.run(...row);
      });
    }
    yield { phase: 'blobs', done: counts.blobs, total: undefined };
  }
  yield* sweepContents(handle, blobs, counts, write);
}

/** Which revisions of an object there are, asked for object by object. */
class KeptRevisions {
  readonly #revisions: Revisions;
  #key: bigint | undefined;
  readonly #seqs = new Set<number>();

  constructor(revisions: Revisions) {
    this.#revisions = revisions;
  }

  has(key: bigint, seq: number): boolean {
    if (key !== this.#key) this.#read(key);
    return this.#seqs.has(seq);
  }

  #read(key: bigint): void {
    this.#key = key;
    this.#seqs.clear();
    const oid = oidOfKey(key);
    for (let row = this.#revisions.currentRow(oid); row; row = this.#revisions.priorRow(oid, row)) {
      this.#seqs.add(sealedSeq(row));
    }
  }
}

function* sweepContents(
  handle: Handle,
  blobs: Blobs,
  counts: PackCounts,
  write: WriteStep,
): Generator<Progress, void, void> {
  const unused = handle
    .prepare<[number, number]>(
      'SELECT id, size FROM blob_content WHERE id > ? AND touched < ? AND NOT EXISTS ' +
        '(SELECT 1 FROM blob WHERE content = blob_content.id) ORDER BY id LIMIT 20',
    )
    .raw();
  const stillUnused = handle
    .prepare<number>('SELECT NOT EXISTS (SELECT 1 FROM blob WHERE content = ?)')
    .pluck();
  const dropPieces = handle.prepare(
    'DELETE FROM blob_chunk WHERE id IN (SELECT id FROM blob_chunk WHERE id >= ? * 1048576 AND id < (? + 1) * 1048576 LIMIT 16)',
  );
  const dropContent = handle.prepare('DELETE FROM blob_content WHERE id = ?');
  for (let after = 0; ;) {
    const rows = unused.all(after, Date.now() - LEFT_BEHIND_MS);
    if (rows.length === 0) return;
    for (const [id, size] of rows) {
      after = id;
      for (let more = true; more;) {
        yield* write('blobs', () => {
          more = stillUnused.get(id) === 1 && dropPieces.run(id, id).changes > 0;
          if (!more && stillUnused.get(id) === 1) dropContent.run(id);
        });
      }
      if (stillUnused.get(id) !== 1) continue;
      blobs.files?.remove(id);
      counts.blobs++;
      counts.bytes += size;
    }
  }
}
