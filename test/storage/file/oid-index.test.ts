import * as fc from 'fast-check';
import * as fs from 'node:fs';
import { oidFromBigInt, oidToBigInt, type Oid } from '../../../src/ids';
import { decodeIndexFile, encodeIndexFile } from '../../../src/storage/file/index-file';
import { OidIndex } from '../../../src/storage/file/oid-index';
import { createHash } from 'node:crypto';
import { fixturePath, listFixtures, readJson } from '../../fixtures';

const oid = fc.oneof(
  fc.integer({ min: 0, max: 20_000 }),
  fc.integer({ min: 0, max: 2 ** 52 }),
  fc.bigInt({ min: 1n << 53n, max: (1n << 64n) - 1n }).map((value) => oidFromBigInt(value)),
) as fc.Arbitrary<Oid>;
const position = fc.integer({ min: 4, max: 2 ** 47 });
const ascending = (a: Oid, b: Oid): number => (oidToBigInt(a) < oidToBigInt(b) ? -1 : 1);

function entriesOf(index: OidIndex): [Oid, number][] {
  const entries: [Oid, number][] = [];
  index.forEach((each, at) => entries.push([each, at]));
  return entries;
}

it('does what a sorted map does', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant('set' as const), oid, position) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('delete' as const), oid, position) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.boolean(), (steps, saved) => {
      let index = new OidIndex();
      const model = new Map<Oid, number>();
      for (const [place, [what, key, at]] of steps.entries()) {
        if (what === 'set') {
          index.set(key, at);
          model.set(key, at);
        } else {
          index.delete(key);
          model.delete(key);
        }
        // Going on with a saved and read index must make no difference.
        if (saved && place % 50 === 49) index = decodeIndexFile(encodeIndexFile(index, 4))!.index;
      }
      const sorted = [...model.keys()].sort(ascending);
      expect(index.size).toBe(model.size);
      expect(index.maxOid()).toBe(sorted.length === 0 ? -1n : oidToBigInt(sorted.at(-1)!));
      for (const key of sorted) expect(index.get(key)).toBe(model.get(key));
      expect(entriesOf(index)).toEqual(sorted.map((key) => [key, model.get(key)]));
      let next = index.next(0 as Oid);
      for (const key of sorted) {
        expect(next).toBe(key);
        next = index.after(key);
      }
      expect(next).toBeUndefined();
    }),
  );
});

it('finds every entry of a bucket whose order is damaged, and goes on in order', () => {
  const entries = [9, 3, 70, 4, 200].map((suffix, place) => [suffix, 1000 + place] as const);
  const content = Buffer.alloc(entries.length * 8);
  for (const [rank, [suffix, at]] of entries.entries()) {
    content.writeUInt16BE(suffix, rank * 2);
    content.writeUIntBE(at, entries.length * 2 + rank * 6, 6);
  }
  const sorted = [...entries].sort(([a], [b]) => a - b).map(([suffix, at]) => [0x2_0000 + suffix, at]);
  const disordered = (): OidIndex => {
    const index = new OidIndex();
    index.addBucket(2, Buffer.from(content));
    return index;
  };
  const got = disordered();
  for (const [suffix, at] of entries) expect(got.get((0x2_0000 + suffix) as Oid)).toBe(at);
  expect(got.get(0x2_0005 as Oid)).toBe(0);
  expect(entriesOf(disordered())).toEqual(sorted);
  expect(disordered().next(0 as Oid)).toBe(0x2_0003);
  expect(encodeIndexFile(disordered(), 4).equals(encodeIndexFile(got, 4))).toBe(true);
});

it('takes at most 16 bytes an object, dense or half empty', () => {
  for (const gap of [1, 2, 7]) {
    const index = new OidIndex();
    for (let i = 0; i < 200_000; i++) index.set((i * gap) as Oid, 4 + i);
    const read = decodeIndexFile(encodeIndexFile(index, 4))!.index;
    read.forEach(() => undefined);
    globalThis.gc?.();
    expect(read.bytes / read.size).toBeLessThanOrEqual(16);
    expect(index.bytes / index.size).toBeLessThanOrEqual(16);
  }
});

describe('index files', () => {
  const names = listFixtures('filestorage', 'index.json').filter((name) =>
    (readJson('filestorage', name) as { file: string }).file.endsWith('.index'),
  );

  it.each(names)('%s is read', (name) => {
    const json = readJson('filestorage', name) as {
      file: string;
      position: number;
      index?: Record<string, number>;
      length?: number;
      items_sha256?: string;
    };
    const path = fixturePath('filestorage', json.file);
    if (!fs.existsSync(path)) return;
    const saved = decodeIndexFile(fs.readFileSync(path))!;
    expect(saved.position).toBe(json.position);
    const lines = entriesOf(saved.index).map(
      ([key, at]) => `${oidToBigInt(key).toString(16).padStart(16, '0')} ${at}`,
    );
    if (json.index !== undefined) {
      expect(lines).toEqual(
        Object.entries(json.index)
          .sort()
          .map(([key, at]) => `${key} ${at}`),
      );
    }
    if (json.items_sha256 !== undefined) {
      expect(lines.length).toBe(json.length);
      const text = lines.map((line) => `${line}\n`).join('');
      expect(createHash('sha256').update(text).digest('hex')).toBe(json.items_sha256);
    }
  });

  it.each(fs.readdirSync(fixturePath('filestorage')).filter((name) => name.endsWith('.index')))(
    '%s is written back byte for byte',
    (name) => {
      const bytes = fs.readFileSync(fixturePath('filestorage', name));
      const { index, position: at } = decodeIndexFile(bytes)!;
      expect(encodeIndexFile(index, at).equals(bytes)).toBe(true);
    },
  );

  it('is passed over when it is garbage, cut or of another kind', () => {
    const whole = fs.readFileSync(fixturePath('filestorage', 'basic.fs.index'));
    for (let length = 0; length < whole.length; length++) {
      expect(decodeIndexFile(whole.subarray(0, length))).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeIndexFile(Buffer.from(bytes))?.index.forEach(() => undefined);
      }),
    );
  });
});
