/**
 * Prints what is on the board, and every note as it is pinned: until there are COUNT, or Ctrl-C.
 *
 *     ts-node samples/shared-board/reader.ts HOST:PORT [COUNT]
 */
import { DB } from 'zodb';
import { root } from './board';

const [address, count] = process.argv.slice(2);
if (!address) {
  console.error('Usage: reader.ts HOST:PORT [COUNT]');
  process.exit(2);
}
const wanted = count === undefined ? Infinity : Number(count);
const db = new DB(`zeo:${address}`, { root });
let printed = 0;

function printNew(): void {
  db.transaction(({ notes }) => {
    for (; printed < notes.length; printed++) {
      const { author, text } = notes[printed]!;
      console.log(`${author}: ${text}`);
    }
  });
}

async function main(): Promise<void> {
  // Before the first look, so that nothing is missed between the two.
  const changes = db.changes();
  printNew();
  while (printed < wanted) {
    await changes.next();
    printNew();
  }
  await changes.return();
  db.close();
}

void main();
