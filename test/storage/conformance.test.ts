import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryStorage, SqliteStorage, type SqliteStorageOptions, type Storage } from '../../src/storage';
import { storageConformance } from '../../src/testing';

storageConformance({ name: 'memory', open: () => new MemoryStorage() });

const modes: [string, SqliteStorageOptions][] = [
  ['SQLite', {}],
  ['SQLite without history', { history: 'none' }],
  [
    'SQLite with history of days, blobs in a directory',
    { history: { days: 7 }, blobs: { directory: 'blobs' } },
  ],
];

for (const [name, options] of modes) {
  const paths = new Map<Storage, string>();
  let directories: string[] = [];
  const open = (path: string, more: SqliteStorageOptions = {}): Storage => {
    const storage = new SqliteStorage(path, { ...options, ...more });
    paths.set(storage, path);
    return storage;
  };
  storageConformance({
    name,
    open() {
      const directory = mkdtempSync(join(tmpdir(), 'zodb-conformance-'));
      directories.push(directory);
      return open(join(directory, 'test.sqlite'));
    },
    reopen(storage) {
      storage.close();
      return open(paths.get(storage)!);
    },
    openReadOnly: (storage) => open(paths.get(storage)!, { readOnly: true }),
    openAgain: (storage) => open(paths.get(storage)!),
    files: (storage) => [paths.get(storage)!],
    clean() {
      for (const directory of directories) rmSync(directory, { recursive: true, force: true });
      directories = [];
      paths.clear();
    },
  });
}
