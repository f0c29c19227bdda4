import * as fc from 'fast-check';
import { createHash } from 'node:crypto';
import * as zlib from 'node:zlib';
import { CorruptionError, InvalidArgumentError, UnsupportedError } from '../../../src/errors';
import { oidFromBytes, parseTid, ROOT_OID, type Oid } from '../../../src/ids';
import {
  FileStorage,
  loadZstd,
  MemoryStorage,
  ZlibStorage,
  ZstdStorage,
  type ZstdCodec,
} from '../../../src/storage';
import { fixturePath, readJson } from '../../fixtures';
import { put } from '../file/commits';

let zstd: ZstdCodec;
beforeAll(async () => void (zstd = await loadZstd()));

const long = Buffer.from('compressible '.repeat(40));

it('reads what zc.zlibstorage wrote', () => {
  const { records } = readJson('filestorage', 'zlib.json') as {
    records: {
      oid: string;
      tid: string;
      size: number;
      sha256: string;
      stored_size: number;
      compressed: boolean;
    }[];
  };
  const base = new FileStorage(fixturePath('filestorage', 'zlib.fs'), { readOnly: true });
  const storage = new ZlibStorage(base);
  for (const { oid, tid, size, sha256, stored_size, compressed } of records) {
    const at = oidFromBytes(Buffer.from(oid, 'hex'));
    const { data } = storage.loadSerial(at, parseTid(tid));
    expect([data.length, createHash('sha256').update(data).digest('hex')]).toEqual([size, sha256]);
    const stored = base.loadSerial(at, parseTid(tid)).data;
    expect([stored.length, stored[0] === 0x2e && stored[1] === 0x7a]).toEqual([stored_size, compressed]);
  }
  storage.close();
});

it('writes the framing of zc.zlibstorage, where it makes records shorter', () => {
  const base = new MemoryStorage();
  const storage = new ZlibStorage(base);
  put(storage, ROOT_OID, long);
  const stored = base.load(ROOT_OID).data;
  expect(Buffer.from(stored.subarray(0, 2)).toString()).toBe('.z');
  expect(zlib.inflateSync(stored.subarray(2)).equals(long)).toBe(true);
  for (const short of [Buffer.from('short'), Buffer.from('0123456789abcdefghijklmnop')]) {
    put(storage, ROOT_OID, short);
    expect(Buffer.from(base.load(ROOT_OID).data).equals(short)).toBe(true);
  }
});

it('brings back every record, also those that look compressed', () => {
  const marked = fc
    .tuple(fc.constantFrom('.z', '.Z', '.', ''), fc.uint8Array({ minLength: 1, maxLength: 200 }))
    .map(([marker, rest]) => Buffer.concat([Buffer.from(marker), rest]));
  fc.assert(
    fc.property(marked, fc.constantFrom('zlib', 'zstd', 'off'), (record, kind) => {
      const base = new MemoryStorage();
      const storage =
        kind === 'zstd' ? new ZstdStorage(base, zstd) : new ZlibStorage(base, { compress: kind === 'zlib' });
      put(storage, ROOT_OID, record);
      expect(Buffer.from(storage.load(ROOT_OID).data).equals(record)).toBe(true);
    }),
  );
});

it('reads each kind where the codec is known, and says what is missing where not', () => {
  const base = new MemoryStorage();
  put(new ZlibStorage(base), ROOT_OID, long);
  expect(Buffer.from(new ZstdStorage(base, zstd).load(ROOT_OID).data).equals(long)).toBe(true);
  put(new ZstdStorage(base, zstd), 1 as Oid, long);
  expect(base.load(1 as Oid).data.length).toBeLessThan(60);
  expect(Buffer.from(new ZlibStorage(base, { zstd }).load(1 as Oid).data).equals(long)).toBe(true);
  expect(() => new ZlibStorage(base).load(1 as Oid)).toThrow(UnsupportedError);
});

it('refuses options that it does not have', () => {
  const base = new MemoryStorage();
  for (const options of [{ lvel: 9 }, { level: 0 }, { level: 10 }, { level: '5' }]) {
    expect(() => new ZlibStorage(base, options as object)).toThrow(InvalidArgumentError);
  }
});

it('takes damage for damage', () => {
  const base = new MemoryStorage();
  put(base, ROOT_OID, Buffer.from('.z no zlib stream'));
  put(base, 1 as Oid, Buffer.from('.Z no zstd frame'));
  const storage = new ZstdStorage(base, zstd);
  expect(() => storage.load(ROOT_OID)).toThrow(CorruptionError);
  expect(() => storage.load(1 as Oid)).toThrow(CorruptionError);
});
