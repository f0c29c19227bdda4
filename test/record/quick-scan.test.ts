/** The quick scan of references either leaves a record to the exact one, or finds what that one finds. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import type { Oid } from '../../src/ids';
import { quickReferences } from '../../src/record/quick-scan';
import { Scan } from '../../src/record/scan';
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

test('on damaged records it never contradicts the exact scan', () => {
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
      const quick: Oid[] = [];
      if (!quickReferences(damaged, quick)) return;
      const expected = exactly(damaged);
      if (expected) expect(quick).toEqual(expected);
    }),
    { numRuns: runs },
  );
});
