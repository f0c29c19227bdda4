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
const layers: Record<string, (base: Storage) => Storage> = {
  zlib: (base) => new ZlibStorage(base),
  zstd: (base) => new ZstdStorage(base, testZstd),
  encrypted: (base) => new EncryptedStorage(base, { key }),
  'encrypted zlib': (base) => new ZlibStorage(new EncryptedStorage(base, { key })),
};
const bases: Record<string, () => Storage> = {
  Memory: () => new MemoryStorage(),
  File: () => new FileStorage(directory.file()),
  SQLite: () => new SqliteStorage(directory.file('base.sqlite')),
};
/** Every layer over every base takes a minute; each is met at least once in any case. */
const all = Number(process.env.ZODB_SOAK ?? 0) >= 1;
const always = [
  'zlib over Memory',
  'zstd over SQLite',
  'encrypted over Memory',
  'encrypted zlib over Memory',
];

for (const [layer, over] of Object.entries(layers)) {
  for (const [base, open] of Object.entries(bases)) {
    const name = `${layer} over ${base}`;
    if (all || always.includes(name)) storageConformance({ name, open: () => over(open()) });
  }
}
