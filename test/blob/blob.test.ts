import * as fs from 'node:fs';
import * as path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { BlobError, Blob } from '../../src/database/blob';
import { DB } from '../../src/database';
import { InvalidArgumentError } from '../../src/errors';
import { markChanged, serialOf } from '../../src/persistence';
import {
  DemoStorage,
  EncryptedStorage,
  FileStorage,
  MemoryStorage,
  runSteps,
  SqliteStorage,
  ZlibStorage,
} from '../../src/storage';
import type { Storage } from '../../src/storage';
import { TransactionManager } from '../../src/transaction';
import { TemporaryDirectory } from '../storage/file/directory';

const directory = new TemporaryDirectory();
afterAll(() => directory.remove());

const storages: [name: string, open: () => Storage][] = [
  ['Memory', () => new MemoryStorage()],
  ['File, bushy', () => new FileStorage(directory.file())],
  ['File, lawn', () => new FileStorage(directory.file(), { blobLayout: 'lawn' })],
  ['SQLite', () => new SqliteStorage(directory.file('data.sqlite'))],
  ['Demo', () => new DemoStorage()],
  ['zlib over SQLite', () => new ZlibStorage(new SqliteStorage(directory.file('data.sqlite')))],
  ['encrypted', () => new EncryptedStorage(new MemoryStorage(), { key: Buffer.alloc(32, 3) })],
];

type Factories = { blob: () => Blob; other: () => Blob };

interface Root {
  blob: Blob;
  other: Blob;
}

describe.each(storages)('a blob on %s', (_, open) => {
  let storage: Storage;
  let db: DB<Factories>;
  let manager: TransactionManager;
  let root: Root;
  const commit = (): void => manager.commit();

  beforeEach(() => {
    storage = open();
    db = new DB<Factories>(storage);
    manager = new TransactionManager();
    root = db.open({ transactionManager: manager }).root;
  });
  afterEach(() => {
    manager.abort();
    db.close();
  });

  /** The same blob in a connection of its own. */
  function elsewhere<Result>(look: (blob: Blob) => Result, options: { before?: Date } = {}): Result {
    const connection = db.open({ transactionManager: new TransactionManager(), ...options });
    try {
      return look(connection.root.blob);
    } finally {
      connection.close();
    }
  }

  it.each(['at once', 'after a savepoint'])(
    'keeps revision and content when it is marked as changed and nothing was written, %s',
    (when) => {
      root.blob = new Blob('content');
      commit();
      const { blob } = root;
      const serial = serialOf(blob);
      markChanged(blob);
      if (when === 'after a savepoint') manager.savepoint();
      root.other = new Blob('another');
      commit();
      expect(blob.readText()).toBe('content');
      expect(serialOf(blob)).toBe(serial);
      expect(elsewhere((same) => [same.readText(), serialOf(same)])).toEqual(['content', serial]);
      blob.write('content 2');
      commit();
      expect(elsewhere((same) => same.readText())).toBe('content 2');
      markChanged(blob);
      manager.abort();
      expect(blob.readText()).toBe('content 2');
    },
  );

  it('reads as empty until it is written, before and after the first commit', () => {
    const blob = new Blob();
    expect(blob.read().length).toBe(0);
    root.blob = blob;
    commit();
    expect(blob.read().length).toBe(0);
    expect(elsewhere((other) => other.size)).toBe(0);
  });

  it('is seen by others when it is committed, and not before', () => {
    root.blob = new Blob('first');
    commit();
    root.blob.write('second');
    expect(root.blob.readText()).toBe('second');
    expect(elsewhere((other) => other.readText())).toBe('first');
    commit();
    expect(elsewhere((other) => other.readText())).toBe('second');
    expect(root.blob.readText()).toBe('second');
  });

  it('keeps its content when the first commit fails after the storage has taken it', () => {
    const blob = new Blob('nowhere else');
    const fails = {
      sortKey: () => '~~~',
      tpcBegin: () => undefined,
      commit: () => undefined,
      tpcVote: () => {
        throw new Error('no');
      },
      tpcFinish: () => undefined,
      tpcAbort: () => undefined,
      abort: () => undefined,
    };
    root.blob = blob;
    manager.get().join(fails);
    expect(() => commit()).toThrow('no');
    manager.abort();
    expect(blob.readText()).toBe('nowhere else');
    {
      using file = blob.open('a');
      file.write(', and more');
    }
    root.blob = blob;
    commit();
    expect(elsewhere((other) => other.readText())).toBe('nowhere else, and more');
  });

  it('opens in every mode', () => {
    root.blob = new Blob('0123456789');
    commit();
    {
      using file = root.blob.open('a');
      file.write('ab');
    }
    expect(root.blob.readText()).toBe('0123456789ab');
    {
      using file = root.blob.open('r+');
      file.write('X', 3);
      file.truncate(8);
      file.position = 0;
      expect(file.readText()).toBe('012X4567');
    }
    expect(() => root.blob.open('c')).toThrow(BlobError);
    commit();
    using committed = root.blob.open('c');
    expect(committed.readText()).toBe('012X4567');
    expect(() => root.blob.open('x' as 'r')).toThrow(InvalidArgumentError);
  });

  it('is read by many or written by one', () => {
    root.blob = new Blob('text');
    commit();
    const readers = [root.blob.open('r'), root.blob.open('r')];
    expect(() => root.blob.open('w')).toThrow(BlobError);
    root.blob.open('c').close();
    for (const reader of readers) reader.close();
    const writer = root.blob.open('w');
    for (const mode of ['r', 'w', 'a', 'r+'] as const) expect(() => root.blob.open(mode)).toThrow(BlobError);
    expect(() => commit()).toThrow(/open for writing/);
    manager.abort();
    expect(writer.isOpen).toBe(false);
    expect(root.blob.readText()).toBe('text');
  });

  it('forgets what was aborted', () => {
    root.blob = new Blob('kept');
    commit();
    root.blob.write('lost');
    manager.abort();
    expect(root.blob.readText()).toBe('kept');
    root.blob.write('again');
    commit();
    expect(elsewhere((other) => other.readText())).toBe('again');
  });

  it('goes back to each savepoint', () => {
    root.blob = new Blob('committed');
    commit();
    root.blob.write('one');
    const one = manager.savepoint();
    root.blob.write('two');
    root.other = new Blob('other');
    const two = manager.savepoint();
    root.blob.write('three');
    two.rollback();
    expect([root.blob.readText(), root.other.readText()]).toEqual(['two', 'other']);
    one.rollback();
    expect(root.blob.readText()).toBe('one');
    expect(root.other).toBeUndefined();
    commit();
    expect(elsewhere((other) => other.readText())).toBe('one');
  });

  it('conflicts as any object does', () => {
    root.blob = new Blob('common');
    commit();
    root.blob.read();
    const theirs = new TransactionManager();
    const connection = db.open({ transactionManager: theirs });
    connection.root.blob.write('theirs');
    root.blob.write('mine');
    theirs.commit();
    expect(() => commit()).toThrow(expect.objectContaining({ code: 'CONFLICT' }));
    manager.abort();
    expect(root.blob.readText()).toBe('theirs');
    connection.close();
  });

  it('takes over a file', () => {
    const file = directory.file('picture');
    fs.writeFileSync(file, 'consumed');
    root.blob = new Blob();
    root.blob.consumeFile(file);
    expect(fs.existsSync(file)).toBe(false);
    commit();
    expect(elsewhere((other) => other.readText())).toBe('consumed');
    expect(() => root.blob.consumeFile(file)).toThrow(
      new InvalidArgumentError(`A blob can't take over ${file}: there is no such file.`),
    );
    expect(() => root.blob.consumeFile(directory.file('.'))).toThrow(InvalidArgumentError);
    expect(root.blob.readText()).toBe('consumed');
  });

  it('holds text or bytes, and nothing else', () => {
    const refused = new InvalidArgumentError(
      'A blob holds text or bytes (a Buffer or Uint8Array), not number.',
    );
    expect(() => new Blob(5 as never)).toThrow(refused);
    root.blob = new Blob('kept');
    expect(() => {
      root.blob.write(5 as never);
    }).toThrow(refused);
    expect(root.blob.readText()).toBe('kept');
  });

  it('has a file of its committed content', () => {
    root.blob = new Blob('in a file');
    expect(() => root.blob.committed()).toThrow(BlobError);
    commit();
    expect(fs.readFileSync(root.blob.committed(), 'utf8')).toBe('in a file');
    root.blob.write('changed');
    expect(() => root.blob.committed()).toThrow(BlobError);
  });

  it('is streamed both ways', async () => {
    const content = Buffer.alloc(300_000, 'streamed ');
    root.blob = new Blob();
    await pipeline(
      Readable.from([content.subarray(0, 100_000), content.subarray(100_000)]),
      root.blob.createWriteStream(),
    );
    commit();
    const chunks: Buffer[] = [];
    for await (const chunk of root.blob.createReadStream()) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
    expect(root.blob.isOpen).toBe(false);
  });

  it('keeps reading its revision while it is open', () => {
    root.blob = new Blob('old revision');
    commit();
    using file = root.blob.open('c');
    elsewhere(() => undefined);
    const theirs = new TransactionManager();
    const connection = db.open({ transactionManager: theirs });
    connection.root.blob.write('new');
    theirs.commit();
    connection.close();
    expect(file.readText()).toBe('old revision');
  });

  it('comes back by undo, and leaves by pack', () => {
    root.blob = new Blob('one');
    commit();
    root.blob.write('two');
    commit();
    db.undo(db.undoLog()[0]!.id, manager.get());
    commit();
    expect(elsewhere((other) => other.readText())).toBe('one');
    runSteps(storage.pack!());
    expect(elsewhere((other) => other.readText())).toBe('one');
  });
});

it("can't be subclassed", () => {
  class Picture extends Blob {}
  expect(() => new Picture()).toThrow(/subclassed/);
});

it('leaves no working file behind', () => {
  const file = directory.file();
  const storage = new FileStorage(file);
  const db = new DB<Factories>(storage);
  const manager = new TransactionManager();
  const connection = db.open({ transactionManager: manager });
  connection.root.blob = new Blob('kept');
  manager.savepoint();
  connection.root.blob.write('more');
  manager.savepoint();
  manager.commit();
  connection.root.blob.write('lost');
  manager.abort();
  expect(fs.readdirSync(storage.blobDirectory())).toEqual([]);
  connection.close();
  db.close();
});

it('sweeps what a crash left: blobs that were never committed, and working files', () => {
  const file = directory.file();
  let storage = new FileStorage(file);
  const db = new DB<Factories>(storage);
  db.transaction((root) => void (root.blob = new Blob('kept')));
  db.close();
  const blobs = `${file}.blobs`;
  const lost = path.join(blobs, '0x00/0x00/0x00/0x00/0x00/0x00/0x00/0x63/0x0fffffffffffffff.blob');
  fs.mkdirSync(path.dirname(lost), { recursive: true });
  fs.writeFileSync(lost, 'lost');
  fs.writeFileSync(path.join(blobs, 'tmp', 'commit-0x0fffffffffffffff'), '0x63\n');
  storage = new FileStorage(file);
  expect(fs.existsSync(lost)).toBe(false);
  expect(fs.readdirSync(path.join(blobs, 'tmp'))).toEqual([]);
  expect(runSteps(storage.check()).problems).toEqual([]);
  storage.close();
});
