import { DemoStorage, FileStorage, MemoryStorage, SqliteStorage } from '../../../src/storage';
import { storageConformance } from '../../../src/testing';
import { TemporaryDirectory } from '../file/directory';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

storageConformance({ name: 'Demo over Memory', open: () => new DemoStorage() });
storageConformance({
  name: 'Demo over File, changes in File',
  open: () =>
    new DemoStorage({ base: new FileStorage(directory.file()), changes: new FileStorage(directory.file()) }),
});
if (Number(process.env.ZODB_SOAK ?? 0) >= 1) {
  storageConformance({ name: 'Demo over Demo', open: () => new DemoStorage().push() });
}
storageConformance({
  name: 'Demo over SQLite, changes in Memory',
  open: () =>
    new DemoStorage({ base: new SqliteStorage(directory.file('base.sqlite')), changes: new MemoryStorage() }),
});
