/** The server is killed in each phase of a commit, again and again: nothing is torn, and nobody is told what is not true. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientDisconnected, ClientStorage, CommitOutcomeUnknownError, ZeoServer } from '../../src/zeo';
import { oidFromBytes, ZERO_TID, type Oid, type Tid } from '../../src/ids';
import { MemoryStorage, TransactionMetaData } from '../../src/storage';
import { record, textOf } from '../../src/testing';
import { freePort, ServerProcess } from './program';
import { PATIENCE, patiently } from './until';

const scale = Number(process.env.ZODB_SOAK ?? 1);
const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-killed-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const oids = [1, 2].map((number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(number, 4);
  return oidFromBytes(bytes);
}) as [Oid, Oid];

type Balances = readonly [number, number];

function read(client: ClientStorage): { balances: Balances; serials: readonly [Tid, Tid] } {
  const instance = client.newInstance();
  instance.poll();
  const found = oids.map((oid) => instance.load(oid));
  instance.release();
  return {
    balances: found.map(({ data }) => Number(textOf(data))) as unknown as Balances,
    serials: found.map(({ serial }) => serial) as unknown as readonly [Tid, Tid],
  };
}

describe.each(['file', 'sqlite'])('a %s server that is killed', (kind) => {
  it(
    'in each phase of a commit leaves the money, and the client says what is true',
    async () => {
      const port = await freePort();
      const server = new ServerProcess(port, ['--storage', kind, '--path', join(directory, `bank.${kind}`)]);
      await server.start();
      const cachePath = join(directory, `${kind}.zec`);
      const options = { waitTimeout: PATIENCE, retryDelay: 20, cachePath };
      let client = new ClientStorage(`127.0.0.1:${port}`, options);
      const first = new TransactionMetaData();
      client.tpcBegin(first);
      for (const oid of oids) client.store(oid, ZERO_TID, record('500'), first);
      client.tpcVote(first);
      client.tpcFinish(first);
      const outcomes = { committed: 0, not: 0, unknown: 0 };
      const phases = [
        ...['store', 'vote', 'finish', 'finish, a moment later', 'after'],
        ...['at once', 'at once, a moment later'],
      ];
      const rounds = phases.length * 2 * scale;
      for (let round = 0; round < rounds; round++) {
        const phase = phases[round % phases.length]!;
        const { balances, serials } = read(client);
        expect(balances[0] + balances[1]).toBe(1000);
        const wanted: Balances = [balances[0] - 1 - round, balances[1] + 1 + round];
        const txn = new TransactionMetaData({ description: `round ${round}` });
        let killed: Promise<unknown> | undefined;
        let outcome: 'committed' | 'not' | 'unknown';
        try {
          client.tpcBegin(txn);
          oids.forEach((oid, index) =>
            client.store(oid, serials[index]!, record(String(wanted[index])), txn),
          );
          if (phase === 'store') killed = server.kill();
          if (killed) await killed;
          const isAtOnce = phase.startsWith('at once');
          if (!isAtOnce) await client.tpcVoteAsync(txn);
          if (phase === 'vote') await (killed = server.kill());
          const finished = isAtOnce ? client.tpcCommitAsync(txn) : client.tpcFinishAsync(txn);
          // The failure is looked at below, when the server is there again.
          finished.catch(() => undefined);
          if (phase === 'finish' || phase === 'at once') killed = server.kill();
          if (phase.endsWith('a moment later')) {
            await new Promise((resolve) => setTimeout(resolve, round % 7));
            killed = server.kill();
          }
          await killed;
          if (killed) await server.start();
          await finished;
          outcome = 'committed';
        } catch (error) {
          client.tpcAbort(txn);
          if (error instanceof CommitOutcomeUnknownError) outcome = 'unknown';
          else if (error instanceof ClientDisconnected) outcome = 'not';
          else throw error;
        }
        await server.kill();
        await server.start();
        if (round % 3 === 2) {
          // A new client with the same cache file must not find anything stale in it.
          client.close();
          client = new ClientStorage(`127.0.0.1:${port}`, options);
        }
        outcomes[outcome]++;
        const witness = new ClientStorage(`127.0.0.1:${port}`, { waitTimeout: PATIENCE });
        const now = read(witness).balances;
        witness.close();
        if (outcome === 'committed') expect(now).toEqual(wanted);
        else if (outcome === 'not') expect(now).toEqual(balances);
        else expect([balances, wanted]).toContainEqual(now);
        await client.syncAsync();
        expect(read(client).balances).toEqual(now);
      }
      client.close();
      await server.kill();
      expect(outcomes.committed + outcomes.not + outcomes.unknown).toBe(rounds);
      expect(outcomes.committed).toBeGreaterThan(0);
      expect(outcomes.not).toBeGreaterThan(0);
    },
    900_000 * scale,
  );
});

it('a server told to stop ends its clients and itself', async () => {
  const server = new ServerProcess(await freePort(), ['--storage', 'mapping']);
  await server.start();
  const client = patiently(
    () => new ClientStorage(`127.0.0.1:${server.port}`, { waitTimeout: 300, retryDelay: 20 }),
  );
  expect(await server.kill('SIGTERM')).toBe(0);
  expect(() => client.load(oids[0])).toThrow(ClientDisconnected);
  client.close();
});

it('a server in the same thread is refused, and one that is not there is named', async () => {
  const server = new ZeoServer({ storages: { '1': new MemoryStorage() } });
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  expect(() => new ClientStorage(address)).toThrow(/runs in this thread/);
  await server.close();
  // When there was time to find that out.
  let waitTimeout = 1000;
  const connect = (): ClientStorage => new ClientStorage(address, { waitTimeout: (waitTimeout *= 2) });
  const isTooEarly = (error: unknown): boolean => !String(error).includes('ECONNREFUSED');
  expect(() => patiently(connect, isTooEarly)).toThrow(/ECONNREFUSED/);
});
