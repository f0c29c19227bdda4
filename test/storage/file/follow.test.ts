import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { buildSync } from 'esbuild';
import { DB } from '../../../src/database';
import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../../src/ids';
import { FileStorage, runSteps, TransactionMetaData } from '../../../src/storage';
import { TransactionManager } from '../../../src/transaction';
import { commit, put, serialOf } from './commits';
import { TemporaryDirectory } from './directory';
import { mappingRecord, plainHost } from './records';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());
const soak = Number(process.env.ZODB_SOAK ?? 1);

function open(file: string, readOnly: boolean): FileStorage {
  const storage = new FileStorage(file, { readOnly, onWarning: () => undefined });
  storage.registerDB(plainHost);
  return storage;
}

describe('a storage that is open read-only', () => {
  it('sees what a writer commits, when it is committed', () => {
    const file = directory.file();
    const writer = open(file, false);
    const first = put(writer, ROOT_OID, mappingRecord('one'));
    const reader = open(file, true);
    const instance = reader.newInstance();
    expect(instance.poll()).toEqual([]);

    const txn = new TransactionMetaData();
    writer.tpcBegin(txn);
    writer.store(ROOT_OID, first, mappingRecord('two'), txn);
    writer.store(1 as Oid, ZERO_TID, mappingRecord('new'), txn);
    writer.tpcVote(txn);
    expect(reader.lastTransaction()).toBe(first);
    const second = writer.tpcFinish(txn);
    // The snapshot stays what it is until the next one is taken.
    expect(Buffer.from(instance.load(ROOT_OID).data)).toEqual(mappingRecord('one'));
    expect([...instance.poll()].sort()).toEqual([0, 1]);
    expect(instance.snapshot).toBe(second);
    expect(Buffer.from(instance.load(ROOT_OID).data)).toEqual(mappingRecord('two'));
    expect(instance.poll()).toEqual([]);
    expect(reader.objectCount()).toBe(2);
    expect(Array.from(reader.iterate(), ({ tid }) => tid)).toEqual([first, second]);
    reader.close();
    writer.close();
  });

  it('never sees what is given up, nor stumbles over what comes in its place', () => {
    const file = directory.file();
    const writer = open(file, false);
    const reader = open(file, true);
    for (let round = 0; round < 5; round++) {
      const given = new TransactionMetaData();
      writer.tpcBegin(given);
      writer.store(9 as Oid, ZERO_TID, mappingRecord('x'.repeat(5000)), given);
      writer.tpcVote(given);
      reader.lastTransaction();
      writer.tpcAbort(given);
      expect(reader.lastTransaction()).toBe(writer.lastTransaction());
      const tid = put(writer, ROOT_OID, mappingRecord(`round ${round}`));
      expect(reader.lastTransaction()).toBe(tid);
      expect(() => reader.load(9 as Oid)).toThrow();
    }
    reader.close();
    writer.close();
  });

  it('goes on with the file that a pack puts in place', () => {
    const file = directory.file();
    const writer = open(file, false);
    for (let i = 0; i < 5; i++) put(writer, ROOT_OID, mappingRecord(`${i}`, i > 2 ? [1 as Oid] : []));
    put(writer, 1 as Oid, mappingRecord('one'));
    const reader = open(file, true);
    const instance = reader.newInstance();
    instance.poll();
    const iterator = reader.iterate();
    iterator.next();
    runSteps(writer.pack());
    const tid = put(writer, 1 as Oid, mappingRecord('after the pack'));
    // What was begun on the old file ends there.
    expect(Array.from(iterator).length).toBe(5);
    expect(instance.poll()).toBe('all');
    expect(instance.snapshot).toBe(tid);
    expect(Buffer.from(instance.load(1 as Oid).data)).toEqual(mappingRecord('after the pack'));
    expect(Array.from(reader.iterate()).length).toBe(Array.from(writer.iterate()).length);
    const next = put(writer, ROOT_OID, mappingRecord('and on', [1 as Oid]));
    expect(reader.lastTransaction()).toBe(next);
    reader.close();
    writer.close();
  });

  it('shows what it has while there is no file, and damage when it is there to stay', () => {
    const file = directory.file();
    const writer = open(file, false);
    const tid = put(writer, ROOT_OID, mappingRecord('one'));
    writer.close();
    const reader = open(file, true);
    fs.renameSync(file, `${file}.aside`);
    expect(reader.lastTransaction()).toBe(tid);
    fs.renameSync(`${file}.aside`, file);
    expect(reader.lastTransaction()).toBe(tid);
    const whole = fs.readFileSync(file);
    // A transaction that says that it is complete, and isn't.
    const copy = Buffer.from(whole.subarray(4));
    copy.writeBigUInt64BE(copy.readBigUInt64BE(0) + 1n, 0);
    fs.appendFileSync(file, copy);
    expect(reader.lastTransaction()).toBe(tid);
    expect(() => reader.lastTransaction()).toThrow(/is damaged at/);
    reader.close();
  });

  it('shows the past only, when it was told to stop there', () => {
    const file = directory.file();
    const writer = open(file, false);
    const first = put(writer, ROOT_OID, mappingRecord('one'));
    const stopped = new FileStorage(file, { readOnly: true, stop: (first + 1n) as Tid });
    put(writer, ROOT_OID, mappingRecord('two'));
    expect(stopped.lastTransaction()).toBe(first);
    stopped.close();
    writer.close();
  });

  it('brings the changes to connections and listeners', async () => {
    const file = directory.file();
    const writer = new DB<{ count: () => number }>(file, { root: { count: () => 0 } });
    const reader = new DB<{ count: () => number }>(file, { readOnly: true });
    const connection = reader.open({ transactionManager: new TransactionManager() });
    expect(connection.root.count).toBe(0);
    const changes = reader.changes({ interval: 5 });
    const next = changes.next();
    writer.transaction((root) => void root.count++, { note: 'counted' });
    expect(connection.root.count).toBe(0);
    connection.sync();
    expect(connection.root.count).toBe(1);
    expect((await next).value).toMatchObject({ description: 'counted', oids: [0] });
    await changes.return();
    connection.close();
    reader.close();
    writer.close();
  });
});

describe('beside a program that commits', () => {
  const program = directory.file('writer.js');
  beforeAll(() => {
    buildSync({
      entryPoints: [path.join(__dirname, 'killed-writer.ts')],
      bundle: true,
      platform: 'node',
      target: 'node20',
      outfile: program,
      external: ['better-sqlite3', '@bokuweb/zstd-wasm', 'reflect-metadata'],
      tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
      logLevel: 'error',
    });
  });

  it.each(['commits', 'pack'])('sees each commit once it is acknowledged, in order: %s', async (mode) => {
    const file = directory.file();
    const setup = open(file, false);
    commit(setup, (txn) => setup.store(ROOT_OID, serialOf(setup, ROOT_OID), mappingRecord('begin'), txn));
    setup.close();
    const child = spawn(process.execPath, [program, file, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child.stdout, 'data');
    const reader = open(file, true);
    const instance = reader.newInstance();
    let last: Tid = ZERO_TID;
    let moves = 0;
    // A second, and as long as it takes to see some on a slow machine.
    for (
      const end = Date.now() + 1000 * soak;
      Date.now() < end || (moves <= 10 && child.exitCode === null);
    ) {
      await new Promise((resolve) => setImmediate(resolve));
      const acknowledged = BigInt(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1)!);
      const changed = instance.poll();
      const { snapshot } = instance;
      expect(snapshot >= acknowledged && snapshot >= last).toBe(true);
      if (snapshot > last && changed !== 'all' && last !== ZERO_TID)
        expect(changed.length).toBeGreaterThan(0);
      if (snapshot > last) moves++;
      last = snapshot;
      expect(instance.load(ROOT_OID).serial <= snapshot).toBe(true);
    }
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(moves).toBeGreaterThan(10);
    const found = reader.lastTransaction();
    expect(runSteps(reader.check()).problems).toEqual([]);
    const again = open(file, false);
    expect(again.lastTransaction()).toBe(found);
    again.close();
    reader.close();
  });
});
