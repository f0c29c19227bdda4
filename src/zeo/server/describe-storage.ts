import { TransformStorage } from '../../storage/index';
import { tuple, type WireValue } from '../wire/values';
import type { HostedStorage } from './hosted-storage';

/**
 * The answer to `get_info`. A client switches its features on by the Python interfaces that it finds here, in the order of
 * `FileStorage`'s `__iro__`. `zodb_js`, which Python does not look at, tells of the methods in `extensions.ts`, and this run of the server
 * from others; `zodb_commit` of the method that came later.
 */
export function describeStorage({ storage, epoch }: HostedStorage): WireValue {
  const { supports } = storage;
  const interfaces: string[] = [];
  if (supports.blobs) interfaces.push('IBlobStorageRestoreable', 'IBlobStorage');
  if (supports.restore) interfaces.push('IStorageRestoreable');
  if (supports.iterate) interfaces.push('IStorageIteration');
  if (supports.undo) interfaces.push('IStorageUndoable');
  if (supports.currentRecords) interfaces.push('IStorageCurrentRecordIteration');
  if (supports.deleteObject) interfaces.push('IExternalGC');
  interfaces.push('IStorage');
  if (storage instanceof TransformStorage) interfaces.push('IStorageWrapper');
  return {
    length: storage.objectCount(),
    size: storage.size(),
    name: storage.name,
    supportsUndo: supports.undo,
    supports_record_iternext: supports.currentRecords,
    interfaces: tuple(
      ...interfaces.map((name) => tuple('ZODB.interfaces', name)),
      tuple('zope.interface', 'Interface'),
    ),
    zodb_js: epoch,
    zodb_commit: true,
  };
}
