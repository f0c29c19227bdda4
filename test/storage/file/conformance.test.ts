import { FileStorage, type Storage } from '../../../src/storage';
import { storageConformance } from '../../../src/testing';
import { TemporaryDirectory } from './directory';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

// With checksums, so that damage inside a record is found as well.
storageConformance({
  name: 'File',
  open: () => new FileStorage(directory.file(), { checksums: true, onWarning: () => undefined }),
  reopen(storage: Storage) {
    storage.close();
    return new FileStorage(storage.name, { onWarning: () => undefined });
  },
  openReadOnly: (storage: Storage) => new FileStorage(storage.name, { readOnly: true }),
  files: (storage: Storage) => [storage.name],
});
