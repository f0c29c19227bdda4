/** Two programs that open a new database at the same moment. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ZERO_TID } from '../../../src/ids';
import { SqliteStorage } from '../../../src/storage/sqlite';
import { Handle } from '../../../src/storage/sqlite/handle';
import { prepareSchema } from '../../../src/storage/sqlite/schema';

const directory = mkdtempSync(join(tmpdir(), 'zodb-first-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The handle, before whose n-th question to the file another program makes a database of it. */
function overtaken(handle: Handle, n: number): { handle: Handle; wasOvertaken: () => boolean } {
  let questions = 0;
  const ask = (): void => {
    if (++questions === n) new SqliteStorage(handle.path).close();
  };
  const layer = new Proxy(handle, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (name === 'pragma' || name === 'prepare') ask();
        return value.apply(target, args) as unknown;
      };
    },
  });
  return { handle: layer, wasOvertaken: () => questions >= n };
}

test.each([1, 2, 3, 4, 5])('a database that another program makes before question %i is opened', (n) => {
  const path = join(directory, `new-${n}.sqlite`);
  const handle = new Handle(path, { readOnly: false, mustExist: false, pageCache: 1 << 20 });
  const race = overtaken(handle, n);
  prepareSchema(race.handle, 5_000, false, [
    ['history', 'all'],
    ['blobs', 'file'],
  ]);
  expect(race.wasOvertaken()).toBe(true);
  handle.close();
  const storage = new SqliteStorage(path);
  expect(storage.lastTransaction()).toBe(ZERO_TID);
  storage.close();
});
