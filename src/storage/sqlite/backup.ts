import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StorageError } from '../../errors';
import type { BackupReport } from '../interfaces';
import type { Progress, Steps } from '../steps';
import type { Blobs } from './blobs';
import { BlobFiles } from './blob-files';
import type { SqlValue } from './driver';
import type { Engine } from './engine';
import { STEP_MS } from './gc-mark';
import { Handle } from './handle';
import { prepareSchema, writeMeta } from './schema';
import { nextKey } from './walk';

const CHUNK = 100;

/** Tables with the columns by which they are walked. */
const TABLES: [string, string[]][] = [
  ['meta', ['name']],
  ['txn', ['seq']],
  ['object', ['oid']],
  ['history', ['id']],
  ['blob', ['oid', 'seq']],
  ['blob_content', ['id']],
  ['blob_chunk', ['id']],
];

/**
 * Copies one snapshot, row by row, into a new file, which is complete and synced before it gets its name. Blobs of a
 * directory go to a directory beside it.
 */
export function* backupSteps(engine: Engine, blobs: Blobs, path: string): Steps<BackupReport> {
  if (existsSync(path)) {
    throw new StorageError(`${path} exists already; a backup does not replace it. Name another file.`, {
      code: 'EXISTS',
    });
  }
  const partial = `${path}.partial`;
  for (const suffix of ['', '-wal', '-shm']) rmSync(partial + suffix, { force: true });
  const source = engine.readHandle();
  let target: Handle | undefined;
  try {
    target = new Handle(partial, { readOnly: false, mustExist: false, pageCache: engine.options.pageCache });
    prepareSchema(target, engine.options.lockTimeout, false, []);
    target.pragma('synchronous=OFF');
    source.begin();
    for (const [table, keys] of TABLES) yield* copyTable(source, target, table, keys);
    const directory = blobs.files && `${path}.blobs`;
    if (blobs.files && directory) yield* copyBlobFiles(source, blobs.files, new BlobFiles(path, directory));
    finish(target, directory);
    target.close();
    renameSync(partial, path);
    return { path, bytes: statSync(path).size };
  } catch (error) {
    target?.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(partial + suffix, { force: true });
    throw source.failed(error);
  } finally {
    source.rollback();
    engine.giveBack(source);
  }
}

function* copyTable(
  source: Handle,
  target: Handle,
  table: string,
  keys: string[],
): Generator<Progress, void, void> {
  const key = keys.join(', ');
  const columns = source.prepare<string>(`SELECT name FROM pragma_table_info('${table}')`).pluck().all();
  const marks = (count: number): string => Array<string>(count).fill('?').join(', ');
  const read = source
    .prepare<SqlValue[]>(
      `SELECT ${columns.join(', ')} FROM ${table} WHERE (${key}) > (${marks(keys.length)}) ORDER BY ${key} LIMIT ${CHUNK}`,
    )
    .raw()
    .safeIntegers();
  const write = target.prepare(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks(columns.length)})`,
  );
  let last: SqlValue[] = keys.map((name) => (name === 'name' ? '' : -(2n ** 63n)));
  const places = keys.map((name) => columns.indexOf(name));
  for (let done = 0; ;) {
    const end = performance.now() + STEP_MS;
    target.begin();
    let rows;
    do {
      rows = read.all(...last);
      for (const row of rows) write.run(...row);
      if (rows.length > 0) {
        const next = places.map((place) => rows!.at(-1)![place]!);
        if (keys.length === 1 && typeof next[0] === 'bigint')
          nextKey(source.path, last[0] as bigint, next[0]);
        last = next;
      }
      done += rows.length;
    } while (rows.length > 0 && performance.now() < end);
    target.commit();
    if (rows.length === 0) return;
    yield { phase: `copy ${table}`, done, total: undefined };
  }
}

function* copyBlobFiles(source: Handle, from: BlobFiles, to: BlobFiles): Generator<Progress, void, void> {
  const contents = source.prepare<number>('SELECT DISTINCT content FROM blob').pluck().all();
  to.workDirectory();
  for (const [place, content] of contents.entries()) {
    const target = to.pathOf(content);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(from.pathOf(content), join(dirname(target), 'copy'));
    renameSync(join(dirname(target), 'copy'), target);
    yield { phase: 'copy blob files', done: place + 1, total: contents.length };
  }
}

/** Leaves one synced file, marked as not being packed. */
function finish(target: Handle, directory: string | undefined): void {
  target.begin();
  target.exec("DELETE FROM meta WHERE name = 'packing'");
  if (directory !== undefined) writeMeta(target, 'blobs', `directory:${directory}`);
  target.commit();
  target.pragma('synchronous=FULL');
  target.pragma('wal_checkpoint(TRUNCATE)');
}
