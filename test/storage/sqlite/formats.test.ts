import fc from 'fast-check';
import { crc32 as nativeCrc32 } from 'node:zlib';
import { oidFromBigInt, type Oid } from '../../../src/ids';
import { portableCrc32 } from '../../../src/storage/sqlite/crc32';
import { packOids, unpackOids } from '../../../src/storage/sqlite/oid-list';
import { OidSet } from '../../../src/storage/sqlite/oid-set';
import { openRecord, sealedPrior, sealedSeq, sealRecord } from '../../../src/storage/sqlite/record-format';
import { packReferences, unpackReferences } from '../../../src/storage/sqlite/references';

const oids = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(oidFromBigInt);
const smallOids = fc.nat({ max: 100_000 }).map((value) => value as Oid);
const seqs = fc.integer({ min: 1, max: 2 ** 47 });

test('lists of oids come back, ascending and once each', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(oids, smallOids)), (list) => {
      const unpacked = unpackOids(packOids(list));
      expect(new Set(unpacked)).toEqual(new Set(list));
      expect(unpacked).toHaveLength(new Set(list).size);
    }),
  );
});

test('a list of neighbours takes a byte or two an oid', () => {
  expect(packOids(Array.from({ length: 100 }, (_, place) => (1_000_000 + place) as Oid)).length).toBeLessThan(
    110,
  );
});

test('damaged lists of oids end in an error or in oids', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        for (const oid of unpackOids(bytes)) expect(Number.isInteger(oid)).toBe(true);
      } catch (error) {
        expect((error as { code: string }).code).toBe('CORRUPTION');
      }
    }),
  );
});

test('a sealed record opens where it was sealed, and nowhere else', () => {
  fc.assert(
    fc.property(
      oids,
      seqs,
      seqs,
      fc.uint8Array({ minLength: 1 }),
      smallOids,
      (oid, seq, prior, data, other) => {
        const sealed = sealRecord(oid, seq, prior, data);
        expect([sealedSeq(sealed), sealedPrior(sealed)]).toEqual([seq, prior]);
        expect([...openRecord(oid, sealed)]).toEqual([...data]);
        if (other !== oid) expect(() => openRecord(other, sealed)).toThrow('damaged');
      },
    ),
  );
});

test('every flipped bit of a sealed record is found', () => {
  const sealed = sealRecord(42 as Oid, 7, 5, Buffer.from('some data'));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const damaged = Buffer.from(sealed);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => openRecord(42 as Oid, damaged)).toThrow('damaged');
  }
});

test('references come back, and unknown ones stay unknown', () => {
  fc.assert(
    fc.property(oids, seqs, fc.array(oids), (oid, seq, list) => {
      expect(new Set(unpackReferences(oid, seq, packReferences(oid, seq, list)))).toEqual(new Set(list));
    }),
  );
  expect(unpackReferences(1 as Oid, 1, packReferences(1 as Oid, 1, undefined))).toBeUndefined();
});

test('the portable CRC is that of zlib', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), (bytes, value) => {
      expect(portableCrc32(bytes, value)).toBe(nativeCrc32(bytes, value));
    }),
  );
});

test('a set of oids holds what was added', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(oids, smallOids)), fc.oneof(oids, smallOids), (list, other) => {
      const set = new OidSet();
      for (const oid of list) set.add(oid);
      for (const oid of list) expect(set.has(oid)).toBe(true);
      expect(set.size).toBe(new Set(list).size);
      expect(set.has(other)).toBe(list.includes(other));
    }),
  );
});
