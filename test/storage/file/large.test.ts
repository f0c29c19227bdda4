import * as fs from 'node:fs';
import { ROOT_OID, ZERO_TID, type Oid } from '../../../src/ids';
import { FileStorage, TransactionMetaData } from '../../../src/storage';
import { nodeFileSystem, type FileSystem } from '../../../src/storage/file/file-system';
import { TemporaryDirectory } from './directory';
import { mappingRecord } from './records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());
/** With `npm run soak` a gigabyte. */
const megabytes = 50 * Number(process.env.ZODB_SOAK ?? 0.5);

/** Counts what is read of the data, not of the index. */
class CountingSystem {
  bytes = 0;
  readonly system: FileSystem;

  constructor(file: string) {
    const descriptors = new Set<number>();
    this.system = {
      ...nodeFileSystem,
      open: (path, flags) => {
        const fd = nodeFileSystem.open(path, flags);
        if (path === file) descriptors.add(fd);
        return fd;
      },
      read: (fd, target, offset, length, position) => {
        const count = nodeFileSystem.read(fd, target, offset, length, position);
        if (descriptors.has(fd)) this.bytes += count;
        return count;
      },
    };
  }
}

it.each([
  ['many small records', 300],
  ['large records', 60_000],
])('a large file opens at once with its index: %s', (_, size) => {
  const file = directory.file();
  const count = Math.floor((megabytes * 1e6) / size);
  const storage = new FileStorage(file, { blobDir: false, durability: 'normal' });
  const perTransaction = Math.max(10, Math.floor(3e6 / size));
  for (let from = 0; from < count; from += perTransaction) {
    const txn = new TransactionMetaData();
    storage.tpcBegin(txn);
    for (let oid = from; oid < Math.min(count, from + perTransaction); oid++) {
      storage.store(oid as Oid, ZERO_TID, mappingRecord(`${oid} `.padEnd(size - 110, 'x')), txn);
    }
    storage.tpcVote(txn);
    storage.tpcFinish(txn);
  }
  const last = storage.lastTransaction();
  expect(storage.size()).toBeGreaterThan(megabytes * 0.9e6);
  storage.close();
  // The index is what it says: 8 bytes an object.
  expect(fs.statSync(`${file}.index`).size / count).toBeLessThan(8.5);

  const counting = new CountingSystem(file);
  for (const readOnly of [true, false]) {
    counting.bytes = 0;
    const start = performance.now();
    const opened = new FileStorage(file, { readOnly, blobDir: false, fileSystem: counting.system });
    const milliseconds = performance.now() - start;
    expect([opened.objectCount(), opened.lastTransaction()]).toEqual([count, last]);
    // Whatever the size of the file: a few records, to see whether the index belongs to it.
    expect(counting.bytes).toBeLessThan(400_000);
    // A machine that others use too may stand still at any moment: what is read is counted, and timed in a dedicated run.
    if (process.env.ZODB_SOAK !== undefined) expect(milliseconds).toBeLessThan(500);
    for (const oid of [ROOT_OID, (count >> 1) as Oid, (count - 1) as Oid]) {
      expect(Buffer.from(opened.load(oid).data).includes(`${oid} `)).toBe(true);
    }
    opened.close();
  }
});
