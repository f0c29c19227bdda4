import { InvalidArgumentError } from '../../errors';
import { checkFilePlace } from '../file-place';
import { Engine, formatHistory, prepareToWrite } from './engine';
import { Handle } from './handle';
import type { BlobMode, ResolvedOptions } from './options';
import { prepareSchema, readMeta, refuseChange, writeMeta } from './schema';

/** Opens, and where it may makes, the file of a SQLite storage. */
export function openEngine(path: string, options: ResolvedOptions): Engine {
  checkPath(path, options);
  const handle = new Handle(path, {
    readOnly: options.readOnly,
    mustExist: options.readOnly || !options.create,
    pageCache: options.pageCache,
  });
  try {
    prepareSchema(handle, options.lockTimeout, options.readOnly, [
      ['history', formatHistory(options.history ?? 'all')],
      ['blobs', formatBlobs(options.blobs ?? 'file')],
    ]);
    if (!options.readOnly) applyOptions(handle, options);
    return new Engine(path, options, handle);
  } catch (error) {
    handle.close();
    throw error;
  }
}

function checkPath(path: string, options: ResolvedOptions): void {
  if (path === '' || path === ':memory:') {
    throw new InvalidArgumentError(
      'SQLite storage needs the path of a file. A database in memory is new DB(), or a MemoryStorage.',
    );
  }
  checkFilePlace(path, options.readOnly || !options.create);
}

function applyOptions(handle: Handle, options: ResolvedOptions): void {
  prepareToWrite(handle, options);
  const blobs = String(readMeta(handle, 'blobs'));
  if (options.blobs !== undefined && formatBlobs(options.blobs) !== blobs) {
    refuseChange('blobs', blobs, formatBlobs(options.blobs));
  }
  const history = options.history && formatHistory(options.history);
  if (history !== undefined && history !== readMeta(handle, 'history')) {
    handle.beginImmediate(options.lockTimeout);
    writeMeta(handle, 'history', history);
    handle.commit();
  }
}

function formatBlobs(blobs: BlobMode): string {
  return blobs === 'file' ? 'file' : `directory:${blobs.directory}`;
}
