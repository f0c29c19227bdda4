import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { POSKeyError, ZodbError } from '../../../src/errors';
import { formatTid, oidFromBytes, type Oid, type Tid } from '../../../src/ids';
import { FileStorage } from '../../../src/storage/file';
import { fixturePath, readJson } from '../../fixtures';

type Current = Record<string, [tid: string, sha256: string] | null | { error: string }>;

interface Outcome {
  open: 'ok' | { error: string };
  last_tid: string;
  length: number;
  current?: Current;
  current_differences?: Current;
  iterated: number | { after: number };
  size_after: number;
  saved?: Record<string, number>;
}

interface Case {
  file?: string;
  make?: { keep_first?: number; append_hex?: string };
  read_only: Outcome;
  read_write: Outcome;
}

const source = fs.readFileSync(fixturePath('filestorage', 'basic.fs'));
let directory: string;
beforeAll(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'zodb-damaged-'))));
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

const oidOf = (hex: string): Oid => oidFromBytes(Buffer.from(hex, 'hex'));
const hexOf = (tid: Tid): string => formatTid(tid).slice(2);

/** Opens a file with these bytes and says what is found, in the words of the fixtures. */
function outcome(
  bytes: Uint8Array,
  readOnly: boolean,
  oids: readonly string[],
): Omit<Outcome, 'current_differences'> {
  const folder = fs.mkdtempSync(path.join(directory, 'case-'));
  const file = path.join(folder, 'Data.fs');
  fs.writeFileSync(file, bytes);
  let storage: FileStorage;
  try {
    storage = new FileStorage(file, { readOnly, blobDir: false, onWarning: () => undefined });
  } catch (error) {
    expect(error).toBeInstanceOf(ZodbError);
    expect(fs.readFileSync(file).equals(Buffer.from(bytes))).toBe(true);
    return {
      open: { error: (error as ZodbError).code },
      last_tid: '',
      length: 0,
      iterated: 0,
      size_after: bytes.length,
    };
  }
  const current: Current = {};
  for (const oid of oids) current[oid] = loadOrError(storage, oid);
  let iterated: Outcome['iterated'] = 0;
  try {
    for (const _ of storage.iterate()) iterated++;
  } catch {
    iterated = { after: iterated };
  }
  const found = {
    open: 'ok' as const,
    last_tid: hexOf(storage.lastTransaction()),
    length: storage.objectCount(),
    current,
    iterated,
  };
  storage.close();
  const saved = Object.fromEntries(
    fs
      .readdirSync(folder)
      .filter((name) => /\.tr\d+$/.test(name))
      .map((name) => [name, fs.statSync(path.join(folder, name)).size]),
  );
  return {
    ...found,
    size_after: fs.statSync(file).size,
    ...(Object.keys(saved).length > 0 ? { saved } : {}),
  };
}

function loadOrError(storage: FileStorage, oid: string): [string, string] | null | { error: string } {
  try {
    const { data, serial } = storage.load(oidOf(oid));
    return [hexOf(serial), createHash('sha256').update(data).digest('hex')];
  } catch (error) {
    if (error instanceof POSKeyError) return null;
    return { error: (error as ZodbError).code };
  }
}

describe('a file that ends too early or too late', () => {
  const { cases } = readJson('filestorage', 'damaged', 'truncated.json') as { cases: Record<string, Case> };

  it.each(Object.entries(cases))('%s', (_, { file, make, read_only, read_write }) => {
    let bytes = file === undefined ? source : fs.readFileSync(fixturePath('filestorage', 'damaged', file));
    if (make?.keep_first !== undefined) bytes = bytes.subarray(0, make.keep_first);
    if (make?.append_hex !== undefined) bytes = Buffer.concat([bytes, Buffer.from(make.append_hex, 'hex')]);
    for (const [readOnly, expected] of [
      [true, read_only],
      [false, read_write],
    ] as const) {
      const found = outcome(bytes, readOnly, Object.keys(expected.current ?? {}));
      if (bytes.toString('latin1', 0, 4) === 'FS21') {
        // The layout of Python 2, which Python 3 refuses; we read it.
        expect([found.open, found.size_after]).toEqual(['ok', bytes.length]);
        continue;
      }
      if (expected.open !== 'ok') {
        expect(found.open).not.toBe('ok');
        continue;
      }
      expect(found.current).toEqual(expected.current);
      expect(found.length).toBe(expected.length);
      expect(found.iterated).toBe(
        typeof expected.iterated === 'number' ? expected.iterated : expected.iterated.after,
      );
      expect(found.size_after).toBe(expected.size_after);
      expect(found.saved).toEqual(expected.saved);
      // Python may name the transaction that was lost; we name the last one that is there.
      const serials = Object.values(expected.current ?? {}).map((entry) =>
        Array.isArray(entry) ? entry[0] : '',
      );
      expect(found.last_tid).toBe(serials.sort().at(-1) ?? '0000000000000000');
    }
  });
});

describe('a file with one byte changed', () => {
  const { undamaged, cases } = readJson('filestorage', 'damaged', 'one-byte.json') as {
    undamaged: Outcome;
    cases: {
      offset: number;
      field: string;
      from: number;
      to: number;
      read_only: Outcome;
      read_write: Outcome;
    }[];
  };

  it.each(cases.map((each) => [each.offset, each.field, each] as const))('at %i (%s)', (_, __, each) => {
    const bytes = Buffer.from(source);
    expect(bytes[each.offset]).toBe(each.from);
    bytes[each.offset] = each.to;
    for (const [readOnly, expected] of [
      [true, each.read_only],
      [false, each.read_write],
    ] as const) {
      const expectedCurrent = { ...undamaged.current, ...expected.current_differences };
      const found = outcome(bytes, readOnly, Object.keys(expectedCurrent));
      if (expected.open !== 'ok') {
        expect(found.open).not.toBe('ok');
        continue;
      }
      expect(found.open).toBe('ok');
      expect(simplified(found.current!)).toEqual(simplified(expectedCurrent));
      expect(found.length).toBe(expected.length);
      expect(found.iterated).toEqual(expected.iterated);
      expect(found.size_after).toBe(expected.size_after);
    }
  });
});

it('refuses damage in the middle that makes the two lengths differ', () => {
  const bytes = fs.readFileSync(fixturePath('filestorage', 'damaged', 'corrupt-final-length.fs'));
  expect(outcome(bytes, true, []).open).toEqual({ error: 'DAMAGED_FILE' });
  expect(outcome(bytes, false, []).open).toEqual({ error: 'DAMAGED_FILE' });
});

/** Errors by kind only: ours have other names. */
function simplified(current: Current): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(current).map(([oid, entry]) => [
      oid,
      Array.isArray(entry) || entry === null ? entry : 'error',
    ]),
  );
}
