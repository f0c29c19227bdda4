/** States of leaves read straight into keys and values: the same as the machine reads, or nothing at all. */
import fc from 'fast-check';
import { Decimal, dumps, loads, PyFloat } from '../../src/pickle/index';
import { ItemForm, Items, RecordReader } from '../../src/record/index';
import { listFixtures, readJson } from '../fixtures';

const reader = (): RecordReader =>
  new RecordReader({
    strongReference: (oid, cls) => ({ kind: 'strong', oid, cls }) as never,
    weakReference: () => ({ kind: 'weak' }) as never,
    foreignReference: () => ({ kind: 'foreign' }) as never,
  });

const CLASS = Buffer.from('\x80\x03cBTrees.OOBTree\nOOBucket\nq\x00.', 'latin1');
/** An oid, a class, a pair of them, as a persistent id: a link to another leaf. */
const LINK = Buffer.concat([
  Buffer.from('C\x08\0\0\0\0\0\0\0\x2ar', 'latin1'),
  Buffer.from([200, 0, 0, 0]),
  Buffer.from('cBTrees.OOBTree\nOOBucket\nr\xca\0\0\0\x86r', 'latin1'),
  Buffer.from([201, 0, 0, 0]),
  Buffer.from('Q', 'latin1'),
]);

/** A record of a leaf: the tuple of items, pickled by our writer or with its last opcodes replaced to have a link. */
function recordOf(items: readonly unknown[], linked: boolean): Buffer {
  const state = Buffer.from(dumps(Object.freeze([Object.freeze([...items])])));
  if (!linked) return Buffer.concat([CLASS, state]);
  // … TUPLE1 BINPUT n STOP
  const end = state.lastIndexOf(0x85);
  return Buffer.concat([CLASS, state.subarray(0, end), LINK, Buffer.from([0x86, 0x2e])]);
}

/** What {@link Items} must hold, from the state that the machine reads. */
function apart(state: readonly [readonly unknown[], unknown?], form: ItemForm): Items {
  const [items, link] = state;
  if (form === ItemForm.keys) return new Items([...items], [], link);
  return new Items(
    items.filter((_, i) => i % 2 === 0),
    items.filter((_, i) => i % 2 === 1),
    link,
  );
}

const scalar = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 2, arbitrary: fc.constantFrom('same', 'same again', 'äöü', '') },
  { weight: 4, arbitrary: fc.integer() },
  fc.double({ noNaN: true }),
  fc.constantFrom(null, true, false),
);
const other = fc.oneof(
  fc.constantFrom<unknown>(
    2n ** 70n,
    [1],
    { a: 1 },
    Object.freeze(['t', 1]),
    new Decimal('1.5'),
    new PyFloat(2),
  ),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
);

describe('items', () => {
  it.each([ItemForm.pairs, ItemForm.keys])('of form %i are what the machine reads', (form) => {
    const one = reader();
    let taken = 0;
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 60, arbitrary: scalar }, other), { maxLength: 150 }),
        fc.boolean(),
        (items, linked) => {
          const record = recordOf(items, linked);
          const { state, cls } = one.read(record);
          const found = one.readFor(record, { itemFormOf: () => form });
          expect(found.cls).toBe(cls);
          if (!(found.state instanceof Items)) {
            expect(found.state).toEqual(state);
            return;
          }
          taken += 1;
          expect(found.state).toEqual(apart(state as [unknown[]], form));
          expect(found.state.keys).toHaveLength(form === ItemForm.pairs ? items.length / 2 : items.length);
        },
      ),
      { numRuns: 600 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  it('of a damaged record give what the machine gives: its value or its error', () => {
    const one = reader();
    const outcome = (read: () => { state: unknown }): unknown => {
      try {
        const { state } = read();
        return state;
      } catch (error) {
        return `${(error as Error).name}: ${(error as Error).message}`;
      }
    };
    fc.assert(
      fc.property(
        fc.array(scalar, { minLength: 4, maxLength: 30 }),
        fc.nat(),
        fc.nat({ max: 255 }),
        fc.boolean(),
        (items, at, byte, cut) => {
          const record = recordOf(items, true);
          const place = CLASS.length + (at % (record.length - CLASS.length));
          const damaged = cut ? record.subarray(0, place) : Buffer.from(record);
          if (!cut) damaged[place] = byte;
          const usual = outcome(() => one.read(damaged));
          const apartly = outcome(() => one.readFor(damaged, { itemFormOf: () => ItemForm.pairs }));
          expect(apartly).toEqual(
            apartly instanceof Items ? apart(usual as [unknown[]], ItemForm.pairs) : usual,
          );
        },
      ),
      { numRuns: 600 },
    );
  });

  it('of records of Python are what the machine reads', () => {
    let taken = 0;
    for (const file of listFixtures('records/btrees', '.json')) {
      if (file.endsWith('.recs.json')) continue;
      const { cases } = readJson('records', 'btrees', file) as {
        cases: { class: [string, string]; records: { data: string }[] }[];
      };
      for (const { records } of cases) {
        for (const { data } of records) {
          const bytes = Buffer.from(data, 'base64');
          const usual = reader().read(bytes);
          if (!/Bucket$|[a-z]?Set$/.test(usual.cls.name) || usual.cls.name.endsWith('TreeSet')) continue;
          const form = usual.cls.name.endsWith('Set') ? ItemForm.keys : ItemForm.pairs;
          const { state } = reader().readFor(bytes, { itemFormOf: () => form });
          if (!(state instanceof Items)) continue;
          taken += 1;
          expect(state).toEqual(apart(usual.state as [unknown[]], form));
        }
      }
    }
    expect(taken).toBeGreaterThan(20);
  });

  it('leave other states as they are', () => {
    const record = Buffer.concat([CLASS, Buffer.from(dumps({ a: 1 }))]);
    expect(reader().readFor(record, { itemFormOf: () => ItemForm.pairs }).fields?.names).toEqual(['a']);
    expect(loads(dumps(1))).toBe(1);
  });
});
