/**
 * The board's server: one file, served to programs on any machine, TypeScript or Python. Prints its address. Ctrl-C or SIGTERM ends it.
 *
 *     ts-node samples/shared-board/server.ts [FILE] [PORT]      without FILE in memory, without PORT any that is free
 */
import { openStorage } from 'zodb';
import { formatAddress, ZeoServer } from 'zodb/zeo';

const [file, port] = process.argv.slice(2);
const storage = openStorage(file ?? null);
const server = new ZeoServer({ storages: { '1': storage } });

void server.listen({ host: '127.0.0.1', port: Number(port ?? 0) }).then((address) => {
  console.log(formatAddress(address));
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void server.close().then(() => storage.close());
  });
}
