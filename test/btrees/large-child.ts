/**
 * Builds a tree of integers in a SQLite database, opens it anew and goes over it, in one job: started by `large.test.ts` with little memory.
 * Arguments: path, number of keys.
 */
import { DB } from '../../src/database/index';
import { IOBTree, type BTree } from '../../src/btrees/index';

const [, , path, count] = process.argv as [string, string, string, string];
const total = Number(count);
const BATCH = 50_000;
const open = (): DB<{ tree: () => BTree<number, number> }> =>
  new DB(path, { root: { tree: () => new IOBTree<number>() }, durability: 'normal' });

let peak = 0;
const note = (): void => {
  peak = Math.max(peak, process.memoryUsage().rss);
};

const building = open();
const connection = building.open();
const manager = connection.transactionManager;
for (let from = 0; from < total; from += BATCH) {
  const { tree } = connection.root;
  for (let key = from; key < Math.min(from + BATCH, total); key++) tree.set(key, key % 1000);
  manager.commit();
  note();
}
connection.close();
building.close();

const reading = open();
const { root } = reading.open();
let sum = 0;
let seen = 0;
for (const [key, value] of root.tree) {
  sum += key - value;
  if (++seen % 100_000 === 0) note();
}
let back = 0;
for (const key of root.tree.keys({ min: total >> 1, max: (total >> 1) + 20_000, reverse: true })) back += key;
note();
const loads = reading.openConnections[0]!.cacheStatistics.loaded;
reading.close();
process.stdout.write(JSON.stringify({ seen, sum, back, peak, loads }));
