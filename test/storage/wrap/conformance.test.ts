import {
  EncryptedStorage,
  FileStorage,
  MemoryStorage,
  SqliteStorage,
  ZlibStorage,
  ZstdStorage,
  type Storage,
} from '../../../src/storage';
import { storageConformance } from '../../../src/testing';
import { TemporaryDirectory } from '../file/directory';
import { testZstd } from './zstd';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

const key = Buffer.alloc(32, 7);
const layers: [name: string, over: (base: Storage) => Storage][] = [
  ['zlib', (base) => new ZlibStorage(base)],
  ['zstd', (base) => new ZstdStorage(base, testZstd)],
  ['encrypted', (base) => new EncryptedStorage(base, { key })],
  ['encrypted zlib', (base) => new ZlibStorage(new EncryptedStorage(base, { key }))],
];

for (const [name, over] of layers) {
  storageConformance({ name: `${name} over Memory`, open: () => over(new MemoryStorage()) });
}
for (const [name, over] of layers.slice(0, 3)) {
  storageConformance({ name: `${name} over File`, open: () => over(new FileStorage(directory.file())) });
  storageConformance({
    name: `${name} over SQLite`,
    open: () => over(new SqliteStorage(directory.file('base.sqlite'))),
  });
}
