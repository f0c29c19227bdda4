import type { Storage } from '../../../src/storage';
import { openStorage } from '../../../src/storage';
import { storageConformance } from '../../../src/testing';
import { PostgresServer } from './server';

if (!PostgresServer.isHere) test('PostgreSQL is not here', () => expect(PostgresServer.isHere).toBe(false));
else {
  const server = new PostgresServer();
  afterAll(() => server.remove());
  const urls = new Map<Storage, string>();
  const open = (url: string, options = {}): Storage => {
    const storage = openStorage(url, options);
    urls.set(storage, url);
    return storage;
  };

  storageConformance({
    name: 'PostgreSQL',
    open: () => open(server.newUrl()),
    reopen(storage) {
      storage.close();
      return open(urls.get(storage)!);
    },
    openReadOnly: (storage) => open(urls.get(storage)!, { readOnly: true }),
    openAgain: (storage) => open(urls.get(storage)!),
  });
}
