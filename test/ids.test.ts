import fc from 'fast-check';
import {
  dateOfTid,
  formatOid,
  formatTid,
  laterThan,
  MAX_TID,
  newTid,
  oidFromBigInt,
  oidFromBytes,
  oidToBigInt,
  oidToBytes,
  parseOid,
  parseTid,
  tidFromBytes,
  tidFromSeconds,
  tidFromTime,
  tidToBytes,
  timeOfTid,
  ZERO_TID,
  type Tid,
} from '../src/ids';

// From Python's persistent.timestamp.
const vectors: [seconds: number, hex: string][] = [
  [0, '023c2b0000000000'],
  [1224825068.12, '037969f722a53488'],
  [1700000000.123456, '03f47f9555dc2e22'],
  [951782400, '0332ade000000000'],
];

test.each(vectors)('%d seconds are the tid that Python gives them', (seconds, hex) => {
  expect(formatTid(tidFromSeconds(seconds))).toBe(`0x${hex}`);
  expect(timeOfTid(parseTid(hex))).toBeCloseTo(seconds * 1_000, 2);
});

test('milliseconds are seconds times a thousand', () => {
  expect(tidFromTime(951_782_400_000)).toBe(tidFromSeconds(951_782_400));
  expect(dateOfTid(tidFromTime(1_700_000_000_123)).toISOString()).toBe('2023-11-14T22:13:20.123Z');
});

test('tids are ordered as their times, and come back to the microsecond', () => {
  const time = fc.double({ min: -2_208_988_800_000, max: 4_102_444_800_000, noNaN: true });
  fc.assert(
    fc.property(time, time, (one, other) => {
      const [a, b] = [tidFromTime(one), tidFromTime(other)];
      expect(Math.abs(timeOfTid(a) - one)).toBeLessThan(0.001);
      if (one < other) expect(a <= b).toBe(true);
    }),
  );
});

test('a time before 1900 has no tid', () => {
  expect(() => tidFromTime(Date.UTC(1899, 11, 31))).toThrow(RangeError);
  expect(() => tidFromTime(NaN)).toThrow(RangeError);
});

test('a later tid is taken as it is, an earlier one becomes the next', () => {
  const now = tidFromSeconds(1_700_000_000);
  expect(laterThan(now, ZERO_TID)).toBe(now);
  expect(laterThan(now, now)).toBe(now + 1n);
  expect(laterThan(now, (now + 500n) as Tid)).toBe(now + 501n);
  expect(laterThan(now, (now | 0xffff_ffffn) as Tid)).toBe(tidFromSeconds(1_700_000_040));
  const endOfYear = (tidFromSeconds(Date.UTC(2023, 11, 31, 23, 59) / 1_000) | 0xffff_ffffn) as Tid;
  expect(laterThan(now, endOfYear)).toBe(tidFromSeconds(Date.UTC(2024, 0, 1) / 1_000));
});

test('new tids ascend though the clock stands still', () => {
  let last = newTid(ZERO_TID);
  for (let count = 0; count < 10_000; count++) {
    const next = newTid(last);
    expect(next > last).toBe(true);
    last = next;
  }
});

test('oids of all 64 bits come back as bytes, bigints and text', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      const oid = oidFromBigInt(value);
      expect(oidToBigInt(oid)).toBe(value);
      expect(Buffer.from(oidToBytes(oid)).readBigUInt64BE()).toBe(value);
      expect(oidFromBytes(oidToBytes(oid))).toBe(oid);
      expect(parseOid(formatOid(oid))).toBe(oid);
      expect(parseOid(String(value))).toBe(oid);
    }),
  );
});

test('an oid beyond 2^53 is one number wherever it comes from', () => {
  const oid = oidFromBigInt(2n ** 62n + 1n);
  expect(oid).toBeLessThan(0);
  expect(oidFromBytes(Buffer.from('4000000000000001', 'hex'))).toBe(oid);
  expect(oidFromBigInt(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
  expect(oidFromBytes(Buffer.from('001fffffffffffff', 'hex'))).toBe(Number.MAX_SAFE_INTEGER);
  expect(oidFromBytes(Buffer.from('0020000000000000', 'hex'))).toBe(oidFromBigInt(2n ** 53n));
});

test('tids come back as bytes', () => {
  for (const tid of [ZERO_TID, MAX_TID, 0x03f4_7f95_55dc_2e22n as Tid]) {
    expect(tidFromBytes(tidToBytes(tid))).toBe(tid);
    const target = new Uint8Array(10);
    tidToBytes(tid, target, 2);
    expect(tidFromBytes(target, 2)).toBe(tid);
  }
});

test('what is no oid or tid is refused', () => {
  expect(() => oidFromBytes(new Uint8Array(7))).toThrow(RangeError);
  expect(() => tidFromBytes(new Uint8Array(8), 1)).toThrow(RangeError);
  expect(() => oidFromBigInt(-1n)).toThrow(RangeError);
  expect(() => oidFromBigInt(2n ** 64n)).toThrow(RangeError);
  for (const text of ['', '-1', '0x', 'abc', '0x12345678901234567', '1.5']) {
    expect(() => parseOid(text)).toThrow(RangeError);
  }
  for (const text of ['', '0x', 'xyz', '12345678901234567']) expect(() => parseTid(text)).toThrow(RangeError);
});
