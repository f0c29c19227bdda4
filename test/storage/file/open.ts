import type { Tid } from '../../../src/ids';
import { FileStorage, type FileStorageOptions } from '../../../src/storage';
import { plainHost } from './records';

/** A storage without blobs that keeps its warnings to itself. */
export function open(file: string, options: FileStorageOptions = {}): FileStorage {
  const storage = new FileStorage(file, { blobDir: false, onWarning: () => undefined, ...options });
  storage.registerDB(plainHost);
  return storage;
}

export const tidsOf = (storage: FileStorage): Tid[] => Array.from(storage.iterate(), ({ tid }) => tid);
