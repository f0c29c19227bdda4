import fc from 'fast-check';
import { unpack } from 'msgpackr';
import { StorageError } from '../../../src/errors';
import { loads } from '../../../src/pickle';
import { ServerException } from '../../../src/zeo/errors';
import { ByteWriter } from '../../../src/zeo/wire/byte-writer';
import { CLIENT_DECODE_LIMITS } from '../../../src/zeo/wire/codec';
import { errorFromWire } from '../../../src/zeo/wire/errors-on-wire';
import { readMsgpack } from '../../../src/zeo/wire/msgpack-decoder';
import { writeMsgpack } from '../../../src/zeo/wire/msgpack-encoder';
import { readPickle } from '../../../src/zeo/wire/pickle-decoder';
import { writePickle } from '../../../src/zeo/wire/pickle-encoder';
import { tuple, WireFloat, WireTuple, type WireValue } from '../../../src/zeo/wire/values';

function bytesOf(write: (out: ByteWriter, value: WireValue) => void, value: WireValue): Buffer {
  const writer = new ByteWriter();
  write(writer, value);
  return writer.take().subarray(4);
}

const scalar: fc.Arbitrary<WireValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  fc.double({ noNaN: true }).map((value) => new WireFloat(value)),
);
const { value } = fc.letrec<{ value: WireValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.array(tie('value'), { maxLength: 6 }).map((items) => new WireTuple(items)),
    fc
      .array(fc.tuple(fc.string({ maxLength: 40 }), tie('value')), { maxLength: 20 })
      .map((entries) => new Map(entries) as WireValue),
  ),
}));

/** As msgpack gives it back: it has one kind of array. */
function withTuples(given: WireValue): WireValue {
  if (given instanceof WireTuple) return new WireTuple(given.items.map(withTuples));
  if (Array.isArray(given)) return new WireTuple(given.map(withTuples));
  if (given instanceof Map) {
    return new Map([...given].map(([key, item]) => [key, withTuples(item as WireValue)])) as WireValue;
  }
  return given;
}

describe('the codecs', () => {
  it('pickle gives back every value as it was', () => {
    fc.assert(
      fc.property(value, (given) => {
        expect(readPickle(bytesOf(writePickle, given), CLIENT_DECODE_LIMITS)).toEqual(given);
      }),
    );
  });

  it('msgpack gives back every value, lists as tuples', () => {
    fc.assert(
      fc.property(value, (given) => {
        expect(readMsgpack(bytesOf(writeMsgpack, given), CLIENT_DECODE_LIMITS)).toEqual(withTuples(given));
      }),
    );
  });

  it('write what other readers read', () => {
    const given = new Map<WireValue, WireValue>([
      ['int', 70_000],
      ['negative', -129],
      ['text', 'é'.repeat(50)],
      ['bytes', Buffer.alloc(300, 7)],
      ['float', new WireFloat(3)],
      ['list', Array.from({ length: 1500 }, (_, index) => index)],
    ]);
    const plain = unpack(bytesOf(writeMsgpack, given)) as Record<string, unknown>;
    const pickled = loads(bytesOf(writePickle, given)) as Record<string, unknown>;
    for (const read of [plain, pickled]) {
      expect(read).toMatchObject({ int: 70_000, negative: -129, text: 'é'.repeat(50), float: 3 });
      expect(Buffer.from(read.bytes as Uint8Array).equals(Buffer.alloc(300, 7))).toBe(true);
      expect((read.list as number[]).length).toBe(1500);
    }
  });

  it.each([
    ['pickle', readPickle],
    ['msgpack', readMsgpack],
  ] as const)('%s of random bytes is a value or a ZeoProtocolError, quickly', (_, read) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          read(Buffer.from(bytes), CLIENT_DECODE_LIMITS);
        } catch (error) {
          expect((error as { code: string }).code).toBe('ZEO_PROTOCOL');
        }
      }),
      { numRuns: 3000 },
    );
  });
});

test("that Python's server packs already is told as by other storages; what else its Data.fs says, as it says it", () => {
  const error = (text: string): Error =>
    errorFromWire(tuple('ZODB.FileStorage.FileStorage.FileStorageError', tuple(text)));
  expect(error('Already packing')).toMatchObject({ code: 'PACKING' });
  expect(error('Already packing')).toBeInstanceOf(StorageError);
  expect(error('Disk on fire')).toBeInstanceOf(ServerException);
  expect(error('Disk on fire').message).toContain('Disk on fire');
});
