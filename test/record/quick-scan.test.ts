/** The quick scans of references either leave a record to the exact one, or find what that one finds. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import type { Oid } from '../../src/ids';
import { quickReferences } from '../../src/record/quick-scan';
import { Scan } from '../../src/record/scan';
import { references, scanReferences } from '../../src/record/scanner';
import { fixturePath, listFixtures } from '../fixtures';

const exact = new Scan();
const records = listFixtures('records', '.record').map((name) => readFileSync(fixturePath('records', name)));

/** What the exact scan finds; `undefined` for a record that it refuses. */
function exactly(record: Buffer): Oid[] | undefined {
  const found: Oid[] = [];
  try {
    exact.oids(record, found);
    return found;
  } catch {
    return undefined;
  }
}

test('it answers for records of Python, with the same references in the same order', () => {
  const answered = records.filter((record) => {
    const quick: Oid[] = [];
    if (!quickReferences(record, quick)) return false;
    expect(quick).toEqual(exactly(record));
    return quick.length > 0;
  });
  expect(answered.length).toBeGreaterThan(0);
});

test('all ways together find what the exact scan finds, also in bytes that are no Buffer', () => {
  for (const record of records) {
    expect(references(record)).toEqual(exactly(record));
    expect(references(new Uint8Array(record))).toEqual(exactly(record));
  }
});

test('a reference in the text form of old pickles is found among capital letters of other texts', () => {
  const record = Buffer.from(
    'cpersistent.mapping\nPersistentMapping\n.\x80\x03X\x02\0\0\0PPPabcdefgh\n0.',
    'latin1',
  );
  expect(references(record)).toEqual(exactly(record));
  expect(exactly(record)).toHaveLength(1);
});

test('an oid counts in whatever bytes it stands', () => {
  const oid = '\0\0\0\0\0\0\0\x05';
  for (const bytes of [
    `C\x08${oid}`,
    `B\x08\0\0\0${oid}`,
    `\x8e\x08\0\0\0\0\0\0\0${oid}`,
    `\x96\x08\0\0\0\0\0\0\0${oid}`,
  ]) {
    for (const pid of [bytes, `${bytes}h\0\x86`]) {
      const record = Buffer.from(`\x80\x03capp\nThing\nq\0.\x80\x03}X\x01\0\0\0r${pid}Qs.`, 'latin1');
      expect(references(record)).toEqual([5]);
      expect(scanReferences(record)).toMatchObject([{ kind: 'strong', oid: 5 }]);
    }
  }
});

test('the same class again, another of the same length, one that is cut off', () => {
  const plain = (name: string, oid: number) =>
    Buffer.from(
      `\x80\x03capp\n${name}\nq\0.\x80\x03}q\x01X\x01\0\0\0rq\x02C\x08\0\0\0\0\0\0\0${String.fromCharCode(oid)}q\x03h\0\x86q\x04Qs.`,
      'latin1',
    );
  for (const [name, oid] of [
    ['Account', 1],
    ['Account', 2],
    ['Accomnt', 3],
    ['A\u0000ccount.of.a.much.longer.name.than.all.others', 4],
    ['Account', 5],
  ] as const) {
    expect(references(plain(name, oid))).toEqual([oid]);
  }
  expect(() => references(plain('Account', 6).subarray(0, 20))).toThrow('The pickle ends in the middle');
});

test('on damaged records that the exact scan takes they never contradict it', () => {
  const damage = fc.record({
    record: fc.constantFrom(...records),
    bytes: fc.array(fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    }),
  });
  const runs = 3_000 * Math.max(1, Math.round(Number(process.env.ZODB_SOAK ?? 1)));
  fc.assert(
    fc.property(damage, ({ record, bytes }) => {
      const damaged = Buffer.from(record);
      for (const [where, value] of bytes) damaged[Math.floor(where * damaged.length)] = value;
      const expected = exactly(damaged);
      if (expected === undefined) return;
      expect(references(damaged)).toEqual(expected);
      const quick: Oid[] = [];
      if (quickReferences(damaged, quick)) expect(quick).toEqual(expected);
    }),
    { numRuns: runs },
  );
});
