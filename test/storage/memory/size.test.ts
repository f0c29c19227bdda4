/** The size of a memory storage is counted as revisions come and go, never summed. */
import { DB, markChanged, MemoryStorage, PersistentMapping, transaction } from 'zodb';

function summed(storage: MemoryStorage): number {
  let bytes = 0;
  for (const written of storage.iterate()) {
    for (const { data } of written.records()) bytes += data?.length ?? 0;
  }
  return bytes;
}

test('counts what stores, undo and pack leave', () => {
  const storage = new MemoryStorage();
  const db = new DB(storage);
  expect(storage.size()).toBe(summed(storage));
  const { root } = db.open() as unknown as { root: Record<string, unknown> };
  for (let i = 0; i < 10; i++) {
    root[`k${i % 4}`] = new PersistentMapping([['text', 'x'.repeat(i * 10)]]);
    transaction.commit();
    expect(storage.size()).toBe(summed(storage));
  }
  const before = storage.size();
  db.undo(db.undoLog()[0]!.id);
  transaction.commit();
  expect(storage.size()).toBe(summed(storage));
  expect(storage.size()).toBeGreaterThan(before);
  markChanged(root.k0 as object);
  transaction.commit();
  db.pack();
  expect(storage.size()).toBe(summed(storage));
  expect(storage.size()).toBeLessThan(before);
  db.close();
});
