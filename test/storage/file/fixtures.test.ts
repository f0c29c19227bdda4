import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { formatTid, oidFromBytes, parseTid, type Oid, type Tid } from '../../../src/ids';
import { POSKeyError } from '../../../src/errors';
import { FileStorage } from '../../../src/storage/file';
import { DataFile } from '../../../src/storage/file/data-file';
import { nodeFileSystem } from '../../../src/storage/file/file-system';
import { openDataFile } from '../../../src/storage/file/open-file';
import { RecordWalker } from '../../../src/storage/file/record-walker';
import type { BoundedRecord } from '../../../src/storage';
import { fixturePath, listFixtures, readJson } from '../../fixtures';

interface RecordJson {
  pos: number;
  oid: string;
  tid: string;
  prev: number;
  size: number;
  back?: number;
  sha256?: string;
}

interface FileJson {
  file: string;
  last_tid: string;
  transaction_count: number;
  transactions: {
    pos: number;
    tid: string;
    length: number;
    status: string;
    user: unknown;
    description: unknown;
    extension_hex: string;
    record_count: number;
    records?: RecordJson[];
  }[];
  index?: Record<string, number>;
  length?: number;
  max_oid?: string;
  current?: Record<string, { tid: string; sha256: string } | { error: string }>;
  load_before?: [
    string,
    string,
    null | { tid: string; sha256: string; end_tid: string | null } | { error: string },
  ][];
  undo_log?: { id: string; user_name: unknown; description: unknown; time: number }[];
  history?: Record<string, { tid: string; size: number; user_name: unknown; description: unknown }[]>;
  iterator?: {
    tid: string;
    status: string;
    records: { oid: string; tid: string; sha256: string | null; data_txn: string | null }[];
  }[];
  record_iternext?: [string, string, string][];
  blob_files?: Record<string, unknown>;
}

const oidOf = (hex: string): Oid => oidFromBytes(Buffer.from(hex, 'hex'));
const hexOf = (tid: Tid): string => formatTid(tid).slice(2);
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const cases = ['', 'py2']
  .flatMap((dir) =>
    listFixtures(`filestorage/${dir}`, '.json').map((name) => `filestorage/${dir ? `${dir}/` : ''}${name}`),
  )
  .filter((name) => {
    const json = readJson(name) as Partial<FileJson>;
    return json.file !== undefined && json.transactions !== undefined;
  });

describe.each(cases)('%s', (name) => {
  const json = readJson(name) as FileJson;
  const path = fixturePath(name.replace(/[^/]*$/, ''), json.file);
  const storage = new FileStorage(path, { readOnly: true, blobDir: false });
  afterAll(() => storage.close());

  it('has the transactions and records that Python wrote, at their places', () => {
    const opened = openDataFile({
      path,
      system: nodeFileSystem,
      readOnly: true,
      create: false,
      truncate: false,
      stop: undefined,
      cacheBytes: undefined,
      warn: (warning) => expect(warning.code).toBe('ODD_TRANSACTION'),
    });
    expect(layoutOf(opened.file)).toEqual(
      json.transactions.map((transaction) => ({
        pos: transaction.pos,
        tid: transaction.tid,
        length: transaction.length,
        status: transaction.status,
        record_count: transaction.record_count,
        extension: transaction.extension_hex,
      })),
    );
    for (const { records } of json.transactions) {
      for (const record of records ?? []) expect(recordAt(opened.file, record)).toEqual(record);
    }
    opened.file.release();
  });

  it('is summed up alike', () => {
    expect(hexOf(storage.lastTransaction())).toBe(json.last_tid);
    expect([...storage.iterate()].length).toBe(
      json.transactions.filter(({ status }) => status !== 'u').length,
    );
    if (json.length !== undefined) expect(storage.objectCount()).toBe(json.length);
  });

  it('has the index that Python makes', () => {
    if (json.index === undefined) return;
    const opened = openDataFile({
      path,
      system: nodeFileSystem,
      readOnly: true,
      create: false,
      truncate: false,
      stop: undefined,
      cacheBytes: undefined,
      warn: () => undefined,
    });
    const found: Record<string, number> = {};
    opened.file.index.forEach((oid, position) => (found[oid.toString(16).padStart(16, '0')] = position));
    expect(found).toEqual(json.index);
    if (json.max_oid !== undefined) expect(opened.file.index.maxOid()).toBe(BigInt(`0x${json.max_oid}`));
    opened.file.release();
  });

  it('loads the current revisions', () => {
    for (const [oid, expected] of Object.entries(json.current ?? {})) {
      if ('error' in expected) {
        expect(() => storage.load(oidOf(oid))).toThrow(POSKeyError);
      } else {
        const { data, serial } = storage.load(oidOf(oid));
        expect([hexOf(serial), sha256(data)]).toEqual([expected.tid, expected.sha256]);
      }
    }
  });

  it('loads every earlier revision', () => {
    for (const [oid, before, expected] of json.load_before ?? []) {
      let found: BoundedRecord | undefined;
      try {
        found = storage.loadBefore(oidOf(oid), parseTid(before));
      } catch (error) {
        expect(error).toBeInstanceOf(POSKeyError);
        expect(expected).toHaveProperty('error');
        continue;
      }
      if (found === undefined) {
        expect(expected).toBeNull();
        continue;
      }
      expect({
        tid: hexOf(found.serial),
        sha256: sha256(found.data),
        end_tid: found.end === undefined ? null : hexOf(found.end),
      }).toEqual(expected);
      expect(sha256(storage.loadSerial(oidOf(oid), found.serial).data)).toBe(sha256(found.data));
    }
  });

  it('lists what can be undone', () => {
    if (json.undo_log === undefined || storage.readOnly === false) return;
    expect(
      storage.undoLog(0, 1e9).map(({ tid }) => Buffer.from(hexOf(tid), 'hex').toString('base64')),
    ).toEqual(json.undo_log.map(({ id }) => id));
    for (const [place, entry] of storage.undoLog(0, 1e9).entries()) {
      const expected = json.undo_log[place]!;
      if (text(expected.user_name) !== undefined) expect(entry.meta.user).toBe(expected.user_name);
      if (text(expected.description) !== undefined) expect(entry.meta.description).toBe(expected.description);
    }
  });

  it('lists the history of each object', () => {
    for (const [oid, expected] of Object.entries(json.history ?? {})) {
      const found = storage.history(oidOf(oid), 1000);
      expect(found.map(({ tid }) => hexOf(tid))).toEqual(expected.map(({ tid }) => tid));
      for (const [place, entry] of found.entries()) {
        // Python says 0 where an undo repeats earlier data; we say how long they are.
        if (expected[place]!.size !== 0) expect(entry.size).toBe(expected[place]!.size);
        if (text(expected[place]!.description) !== undefined) {
          expect(entry.meta.description).toBe(expected[place]!.description);
        }
      }
    }
  });

  it('iterates in both directions', () => {
    const transactions = [...storage.iterate()];
    if (json.iterator !== undefined) {
      expect(
        transactions.map((transaction) => ({
          tid: hexOf(transaction.tid),
          status: transaction.status,
          records: Array.from(transaction.records(), ({ oid, tid, data, dataTid }) => ({
            oid: oid.toString(16).padStart(16, '0'),
            tid: hexOf(tid),
            sha256: data === null ? null : sha256(data),
            data_txn: dataTid === undefined ? null : hexOf(dataTid),
          })),
        })),
      ).toEqual(json.iterator);
    }
    expect(Array.from(storage.iterateBackwards(), ({ tid }) => tid)).toEqual(
      transactions.map(({ tid }) => tid).reverse(),
    );
  });

  it('starts and stops iterating at any transaction', () => {
    const tids = Array.from(storage.iterate(), ({ tid }) => tid);
    for (const [place, tid] of tids.entries()) {
      expect(Array.from(storage.iterate(tid), (t) => t.tid)).toEqual(tids.slice(place));
      expect(Array.from(storage.iterate((tid + 1n) as Tid), (t) => t.tid)).toEqual(tids.slice(place + 1));
      expect(Array.from(storage.iterate(undefined, tid), (t) => t.tid)).toEqual(tids.slice(0, place + 1));
    }
  });

  it('walks the current records', () => {
    if (json.record_iternext === undefined) return;
    const found = Array.from(storage.currentRecords(), ({ oid, serial, data }) => [
      oid.toString(16).padStart(16, '0'),
      hexOf(serial),
      sha256(data),
    ]);
    // Python's walk ends with an error at the first deleted object; ours goes on.
    const expected = json.record_iternext.filter((entry) => Array.isArray(entry));
    expect(found.slice(0, expected.length)).toEqual(expected);
    const exists = Object.values(json.current ?? {}).filter((entry) => 'sha256' in entry);
    expect(found.length).toBe(exists.length);
  });
});

it.each(cases)('%s is left as it was', (name) => {
  const json = readJson(name) as FileJson & { sha256?: string };
  const path = fixturePath(name.replace(/[^/]*$/, ''), json.file);
  if (json.sha256 !== undefined) expect(sha256(fs.readFileSync(path))).toBe(json.sha256);
});

function layoutOf(file: DataFile): unknown[] {
  const walker = new RecordWalker(file);
  const found: unknown[] = [];
  for (let position = 4; position < file.size;) {
    const transaction = walker.transaction(position);
    const { next, length, tid, status } = transaction;
    let count = 0;
    for (let record = walker.first(); record !== undefined; record = walker.next()) count++;
    found.push({
      pos: position,
      tid: hexOf(tid),
      length,
      status: String.fromCharCode(status),
      record_count: count,
      extension: Buffer.from(file.metadata(transaction).extension).toString('hex'),
    });
    position = next;
  }
  return found;
}

/** The record at the place of `like`, in the same words; what a record can't tell is taken over. */
function recordAt(file: DataFile, like: RecordJson): RecordJson {
  const header = file.header(like.pos, undefined);
  return {
    ...like,
    pos: header.position,
    oid: header.oid.toString(16).padStart(16, '0'),
    tid: hexOf(header.tid),
    prev: header.previous,
    size: header.size,
    ...(header.size === 0
      ? { back: file.backPointer(like.pos) }
      : { sha256: sha256(file.cache.bytes(like.pos + 42, header.size)) }),
  };
}
