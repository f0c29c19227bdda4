import { oidFromBigInt, type Oid } from '../../src/ids';
import {
  ClassMeta,
  RecordReader,
  RecordWriter,
  type Reference,
  StoredReference,
  structureHooks,
} from '../../src/record/index';

const cls = ClassMeta.of('bank.models', 'Account');
const node = ClassMeta.of('bank.models', 'Node');
const reader = new RecordReader(structureHooks);
const writer = new RecordWriter({
  reference: (object) => (object instanceof StoredReference ? (object as Reference) : undefined),
});

function referencesTo(oids: readonly number[], kind: 'strong' | 'weak' = 'strong'): StoredReference[] {
  return oids.map((oid) => new StoredReference(kind, oid as Oid, kind === 'strong' ? node : undefined));
}

const foreign = [2n ** 53n, 2n ** 63n].map((value) => oidFromBigInt(value));
const ascending = Array.from({ length: 300 }, (_, i) => 5 * i + 1);

describe('oids in one record, each written once', () => {
  test.each([
    ['none', []],
    ['few in order', [1, 2, 3]],
    ['few in any order, some twice', [7, 3, 7, 9, 3, 1]],
    ['many in order', ascending],
    ['many backwards', ascending.toReversed()],
    ['many, each twice', [...ascending, ...ascending.toReversed()]],
    ['oids of 2^53 and more among them', [4, foreign[1]!, 9, foreign[0]!, foreign[1]!, 4]],
  ])('%s', (_, oids) => {
    const record = writer.write(cls, referencesTo(oids));
    expect(writer.references).toEqual([...new Set(oids)]);
    expect(reader.read(record).state).toEqual(referencesTo(oids));
  });

  test('a list of references stays as it is when the next record is written', () => {
    writer.write(cls, referencesTo([1, 2]));
    const first = writer.references;
    writer.write(cls, null);
    const none = writer.references;
    writer.write(cls, referencesTo([3]));
    expect([first, none, writer.references]).toEqual([[1, 2], [], [3]]);
  });

  test('an oid that was referred to weakly first is a reference once it is referred to strongly', () => {
    for (const before of [[], ascending]) {
      const state = [...referencesTo(before), ...referencesTo([9, 2], 'weak'), ...referencesTo([2, 2])];
      const record = writer.write(cls, state);
      expect(writer.references).toEqual([...before, 2]);
      expect(reader.read(record).state).toEqual(state);
    }
  });
});
