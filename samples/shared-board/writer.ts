/**
 * Pins notes to the board.
 *
 *     ts-node samples/shared-board/writer.ts HOST:PORT AUTHOR TEXT...
 */
import { DB } from 'zodb';
import { Note, root } from './board';

const [address, author, ...texts] = process.argv.slice(2);
if (!address || !author || texts.length === 0) {
  console.error('Usage: writer.ts HOST:PORT AUTHOR TEXT...');
  process.exit(2);
}
const db = new DB(`zeo:${address}`, { root });

for (const text of texts) {
  // Others may pin at the same time: the transaction is run again until it fits.
  db.transaction(({ notes }) => {
    notes.push(new Note(author, text));
  });
}
db.close();
