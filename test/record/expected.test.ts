/** A record whose fields were expected is read another way; it must make no difference, whatever was expected and whatever comes. */
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import type { Oid } from '../../src/ids';
import { PickleError, PyDict, PyFloat } from '../../src/pickle/index';
import {
  ClassMeta,
  FieldKind,
  FieldList,
  RecordReader,
  RecordWriter,
  StoredReference,
  type Reference,
} from '../../src/record/index';

const SOAK = Number(process.env.ZODB_SOAK ?? 1);
const cls = ClassMeta.of('app', 'Expected');
const writer = new RecordWriter({
  reference: (object) => (object instanceof StoredReference ? (object as Reference) : undefined),
});

let calls: unknown[][] = [];
const note = (...call: unknown[]): unknown => {
  calls.push(call);
  return `reference ${call.join()}`;
};
const reader = new RecordReader({
  strongReference: (oid, meta) => note('strong', oid, meta?.toString()),
  weakReference: (oid, database) => note('weak', oid, database),
  foreignReference: (database, oid) => note('foreign', oid, database),
  restart: () => (calls = []),
});

/** All that reading a record gives: its parts or the error, and the calls of the hooks. */
function readExpecting(expected: FieldList | undefined, bytes: Buffer): unknown {
  cls.lastFields = expected;
  calls = [];
  try {
    const { fields, values, state } = reader.read(bytes);
    return { fields, values, state, calls };
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    return { message: error.message, offset: error.offset };
  }
}

const names = ['id', 'owner', 'a name that takes more than four words', 'é', '__proto__', 'x', 'y'];
const scalar = fc.oneof(
  fc.integer({ min: -70_000, max: 70_000 }),
  fc.double(),
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    '',
    'id',
    'owner',
    'é',
    '\ud800',
    2 ** 40,
    10n ** 30n,
    undefined,
  ),
  fc.string({ maxLength: 30 }),
  fc.integer({ min: -3, max: 3 }).map((value) => new PyFloat(value)),
  fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom('strong', 'weak', 'foreign'), fc.boolean())
    .map(
      ([oid, kind, named]) =>
        new StoredReference(
          kind as 'strong',
          oid as Oid,
          named ? cls : undefined,
          kind === 'foreign' ? 'db' : undefined,
        ),
    ),
  fc.uint8Array({ minLength: 7, maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
);
const list = fc.array(scalar, { maxLength: 4 });
const value = fc.oneof(
  scalar,
  scalar,
  list,
  list,
  list.map((items) => Object.freeze(items)),
  list.map((items) => ({ items, x: 1 })),
  list.map((items) => [items, {}, 'owner']),
  fc.constant(new PyDict<unknown, unknown>([[1, 2]])),
  fc.constant(Array.from({ length: 1001 }, (_, i) => i)),
);
const fieldList = fc
  .array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(FieldKind.auto, FieldKind.float)), {
    maxLength: 5,
  })
  .map((fields) => {
    const unique = [...new Map(fields)];
    const made = FieldList.of(
      unique.map(([name]) => name),
      unique.map(([, kind]) => kind),
    );
    // Only what is used several times is prepared.
    for (let i = 0; i < 5; i++) void made.prepared;
    return made;
  });
const record = fc
  .tuple(fieldList, fc.array(value, { minLength: 5, maxLength: 5 }), fc.boolean())
  .map(([fields, values, shared]) => {
    const used = values.slice(0, fields.length);
    // One list in two fields, which the second takes from the memo.
    if (shared && used.length > 2) used[2] = used[0];
    return { fields, bytes: writer.writeFields(cls, fields, used) };
  });

test('whatever was expected, the same is read', () => {
  fc.assert(
    fc.property(record, fieldList, ({ fields, bytes }, other) => {
      const plain = readExpecting(undefined, bytes);
      for (const expected of [fields, other, (plain as { fields?: FieldList }).fields]) {
        expect(isDeepStrictEqual(readExpecting(expected, bytes), plain)).toBe(true);
      }
    }),
    { numRuns: Math.round(2_000 * SOAK) },
  );
});

test('nor does it matter for damaged records: the same value, or the same error at the same place', () => {
  const edit = fc.tuple(
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.nat(255),
    fc.boolean(),
  );
  fc.assert(
    fc.property(record, fc.array(edit, { minLength: 1, maxLength: 3 }), ({ fields, bytes }, edits) => {
      let damaged = Buffer.from(bytes);
      for (const [where, byte, cut] of edits) {
        // Behind the class, which is not what this is about.
        const at = 20 + Math.floor(where * (damaged.length - 20));
        if (cut && byte < 64) damaged = damaged.subarray(0, at);
        else if (cut) damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + 1)]);
        else damaged[at] = byte;
      }
      const plain = readExpecting(undefined, damaged);
      expect(readExpecting(fields, damaged)).toEqual(plain);
      expect(isDeepStrictEqual(readExpecting(fields, damaged), plain)).toBe(true);
    }),
    { numRuns: Math.round(4_000 * SOAK) },
  );
});

test('a record that is cut off fails at the same place, whatever was read before it', () => {
  const fields = FieldList.of(['id', 'x', 'owner']);
  for (let i = 0; i < 5; i++) void fields.prepared;
  for (const values of [
    [[['a'], 1], [[{}], 2], []],
    [1, 'owner', ['a', 'b']],
    [[], [1.5], 'id'],
  ]) {
    const bytes = writer.writeFields(cls, fields, values);
    for (let length = 20; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      const plain = readExpecting(undefined, cut);
      // What it leaves behind is the same record, whole.
      readExpecting(undefined, bytes);
      expect([length, readExpecting(fields, cut)]).toEqual([length, plain]);
    }
  }
});

test('a record too large for the place of copies is read the same, to its last byte', () => {
  const fields = FieldList.of(['text', 'last']);
  for (let i = 0; i < 5; i++) void fields.prepared;
  for (const last of [1, 'z', [], ['a'], [1, 2], new StoredReference('strong', 5 as Oid, cls)]) {
    for (const size of [4000, 4090, 5000]) {
      const bytes = writer.writeFields(cls, fields, ['x'.repeat(size), last]);
      expect(readExpecting(fields, bytes)).toEqual(readExpecting(undefined, bytes));
    }
  }
});
