import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { dumps, loads, PickleError, PyDict } from '../../src/pickle/index';
import { references, readStructure, scanReferences } from '../../src/record/index';
import { fixturePath, listFixtures } from '../fixtures';
import { heapAfterCollection, withoutGarbage } from '../garbage';

const SOAK = Number(process.env.ZODB_SOAK ?? 1);
const MAX_DEPTH = 10_000;

describe('hostile names', () => {
  const names = [
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    '__defineGetter__',
    'then',
    'toJSON',
    'valueOf',
    "x']+(globalThis.pwned=1)+this['y",
    '"]:globalThis.pwned=1,["',
    '${globalThis.pwned=1}',
    '`+(globalThis.pwned=1)+`',
    '\u2028',
    '\\',
    '"',
    '',
    '0',
    '-1',
    '4294967295',
    '\ud800',
    'a\nb',
    '*/globalThis.pwned=1/*',
  ];

  test('are plain keys: nothing runs, nothing is inherited, values are intact', () => {
    // Often enough that code is generated for the shape.
    for (let round = 0; round < 50; round++) {
      for (const name of names) {
        const bytes = dumps(
          new PyDict<unknown, unknown>([
            [name, { evil: round }],
            ['other', 1],
          ]),
        );
        const value = loads(bytes) as object;
        expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
        expect(Object.getOwnPropertyDescriptor(value, name)).toEqual({
          value: { evil: round },
          writable: true,
          enumerable: true,
          configurable: true,
        });
        expect(Object.keys(value)).toHaveLength(2);
      }
    }
    expect((globalThis as { pwned?: unknown }).pwned).toBeUndefined();
    expect(({} as { evil?: unknown }).evil).toBeUndefined();
  });

  test('survive together, in order', () => {
    const dict = new PyDict<unknown, unknown>(names.map((name, i) => [name, i]));
    for (let round = 0; round < 20; round++) {
      const value = loads(dumps(dict)) as Record<string, unknown>;
      names.forEach((name, i) => expect(Object.getOwnPropertyDescriptor(value, name)!.value).toBe(i));
    }
  });

  test('nothing is called, whatever is named', () => {
    const evil = [
      'cos\nsystem\n(S"touch /tmp/pwned"\ntR.',
      'cbuiltins\neval\n(S"1"\ntR.',
      'c__builtin__\ngetattr\n(c__builtin__\nobject\nS"__class__"\ntR.',
      '(S"x"\nios\nsystem\n.',
      'cprocess\nexit\n(I1\ntR.',
    ];
    for (const text of evil) {
      expect(() => loads(Buffer.from(text))).toThrow(/no built-in value/);
      expect(loads(Buffer.from(text), { unknown: 'broken' })).toMatchObject({ by: 'call' });
    }
  });

  test('100,000 different names leave the heap bounded and the values intact', () => {
    const before = heapAfterCollection();
    for (let i = 0; i < 100_000; i++) {
      const bytes = Buffer.from(
        `\x80\x03}(X\x08\x00\x00\x00k${String(i).padStart(7, '0')}K\x01X\x01\x00\x00\x00bK\x02u.`,
        'latin1',
      );
      const value = loads(bytes) as Record<string, unknown>;
      if (value[`k${String(i).padStart(7, '0')}`] !== 1) throw new Error(`name ${i} is damaged`);
    }
    // 20,000 shapes are kept at most, at a few hundred bytes each.
    const limit = 20 * 2 ** 20;
    expect(withoutGarbage(limit, () => heapAfterCollection() - before)).toBeLessThan(limit);
  });
});

describe('memory', () => {
  /** Pickles that ask for much with little. */
  const u64 = (n: bigint): Buffer => {
    const b = Buffer.alloc(8);
    b.writeBigUInt64LE(n);
    return b;
  };
  const bombs: [string, Buffer][] = [
    ['bytes of 2^62', Buffer.concat([Buffer.from([0x8e]), u64(2n ** 62n), Buffer.from('abc.')])],
    ['text of 2 GiB', Buffer.from([0x58, 0xff, 0xff, 0xff, 0x7f, 0x61, 0x2e])],
    ['a bytearray of 2^40', Buffer.concat([Buffer.from([0x96]), u64(2n ** 40n), Buffer.from('abc.')])],
    ['a memo number of 2^32-1', Buffer.from([0x4e, 0x72, 0xff, 0xff, 0xff, 0xff, 0x2e])],
    ['a frame of 2^60', Buffer.concat([Buffer.from([0x80, 4, 0x95]), u64(2n ** 60n), Buffer.from('N.')])],
    ['two million empty sets', Buffer.concat([Buffer.from('('), Buffer.alloc(2e6, 0x8f), Buffer.from('l.')])],
    ...['5d', '7d', '29', '4300', '4e85', '4e4e86', '550178', '5d94', '7d94', '4b0194', '88', '32'].map(
      (unit): [string, Buffer] => [
        `200,000 times ${unit}`,
        Buffer.concat([Buffer.from('(N'), Buffer.from(unit.repeat(200_000), 'hex'), Buffer.from('l.')]),
      ],
    ),
    ['a large list made a set 100,000 times', repeatedSet(100_000)],
    ['large text encoded 100,000 times', repeatedEncode(100_000)],
    [
      'large text as an integer',
      Buffer.concat([
        Buffer.from('cbuiltins\nint\nq\x00X', 'latin1'),
        u32(50_000),
        Buffer.alloc(50_000, 0x39),
        Buffer.from('q\x01h\x00h\x01\x85R'.repeat(2000), 'latin1'),
        Buffer.from('.'),
      ]),
    ],
  ];

  function u32(n: number): Buffer {
    const b = Buffer.alloc(4);
    b.writeUInt32LE(n);
    return b;
  }

  function repeatedSet(times: number): Buffer {
    const items = Buffer.concat(
      Array.from({ length: 2000 }, (_, i) => Buffer.from([0x4d, i & 0xff, i >> 8])),
    );
    const once = Buffer.from('h\x00h\x01\x85R', 'latin1');
    return Buffer.concat([
      Buffer.from('(cbuiltins\nset\nq\x00](', 'latin1'),
      items,
      Buffer.from('eq\x01', 'latin1'),
      ...Array.from({ length: times }, () => once),
      Buffer.from('l.'),
    ]);
  }

  function repeatedEncode(times: number): Buffer {
    const once = Buffer.from('h\x00h\x01h\x02\x86R', 'latin1');
    return Buffer.concat([
      Buffer.from('(c_codecs\nencode\nq\x00X', 'latin1'),
      u32(100_000),
      Buffer.alloc(100_000, 0x61),
      Buffer.from('q\x01X\x06\x00\x00\x00latin1q\x02', 'latin1'),
      ...Array.from({ length: times }, () => once),
      Buffer.from('l.'),
    ]);
  }

  test.each(bombs)('%s ends in time and within the bound', (_name, bytes) => {
    const used = (): number => heapAfterCollection() + process.memoryUsage().external;
    const before = used();
    const start = process.cpuUsage();
    let value: unknown;
    try {
      value = loads(bytes, { unknown: 'broken' });
    } catch (error) {
      expect(error).toBeInstanceOf(PickleError);
    }
    // Time of the processor: what other programs of the machine take does not count.
    const taken = process.cpuUsage(start);
    expect((taken.user + taken.system) / 1e6).toBeLessThan(10);
    // What the runtime itself allocates meanwhile is in it too.
    const limit = 32 * bytes.length + 2 ** 20 + 2 ** 20;
    expect(withoutGarbage(limit, () => used() - before)).toBeLessThan(limit);
    expect(value).not.toBe('');
  });

  test('ordinary large values are not refused', () => {
    const values = [
      Array.from({ length: 100_000 }, () => []),
      Array.from({ length: 100_000 }, () => ({})),
      Array.from({ length: 50_000 }, (_, i) => Object.freeze([i])),
      Array.from({ length: 20_000 }, () => new Set([1])),
      Array.from({ length: 20_000 }, () => Buffer.from('x')),
      Array.from({ length: 20_000 }, (_, i) => new Date(i)),
      Array.from({ length: 20_000 }, () => new Map([[1, 2]])),
    ];
    for (const value of values) expect(loads(dumps(value))).toHaveLength(value.length);
  });
});

describe('depth', () => {
  const nested = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
    let value: unknown = 1;
    for (let i = 0; i < depth; i++) value = wrap(value);
    return value;
  };
  const wraps: [string, (inner: unknown) => unknown][] = [
    ['arrays', (inner) => [inner]],
    ['tuples', (inner) => Object.freeze([inner])],
    ['objects', (inner) => ({ inner })],
    ['Maps', (inner) => new Map([[1, inner]])],
    ['Sets', (inner) => new Set([inner])],
    ['arrays of two', (inner) => [inner, 0]],
  ];

  test.each(wraps)('%s to 10,000 are written and read, beyond is an error', (_name, wrap) => {
    const bytes = dumps(nested(MAX_DEPTH, wrap));
    expect(typeof loads(bytes)).toBe('object');
    expect(() => dumps(nested(MAX_DEPTH + 1, wrap))).toThrow(/nested more than 10000 deep/);
  });

  test.each([
    ['TUPLE1', Buffer.concat([Buffer.from('N'), Buffer.alloc(20_000, 0x85), Buffer.from('.')])],
    ['lists', Buffer.concat([Buffer.alloc(20_000, 0x5d), Buffer.alloc(19_999, 0x61), Buffer.from('.')])],
    ['marks', Buffer.concat([Buffer.alloc(20_000, 0x28), Buffer.alloc(20_000, 0x6c), Buffer.from('.')])],
  ])('a pickle nested 20,000 deep by %s is an error', (_name, bytes) => {
    expect(() => loads(bytes)).toThrow(/nested more than 10000 deep/);
  });

  test('a lower limit can be set', () => {
    expect(() => dumps([[[[1]]]], { maxDepth: 3 })).toThrow(/more than 3 deep/);
    expect(() => dumps([[[1]]], { maxDepth: 3 })).not.toThrow();
  });

  test('the scanner takes any depth', () => {
    const state = Buffer.concat([
      Buffer.from('\x80\x03', 'latin1'),
      Buffer.alloc(50_000, 0x28),
      Buffer.from('C\x08\0\0\0\0\0\0\0\x05Q', 'latin1'),
      Buffer.alloc(50_000, 0x6c),
      Buffer.from('.'),
    ]);
    expect(references(Buffer.concat([Buffer.from('\x80\x03cm\nC\n.', 'latin1'), state]))).toEqual([5]);
  });
});

describe('mutated pickles', () => {
  const pickles = listFixtures('pickles', '.pickle')
    .map((name) => readFileSync(fixturePath('pickles', name)))
    .filter((bytes) => bytes.length < 3000);
  const records = listFixtures('records', '.record').map((name) =>
    readFileSync(fixturePath('records', name)),
  );

  /** A value or an error of ours, and nothing else. */
  function attempt(run: () => unknown): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof PickleError)) throw error;
    }
  }

  const mutation = fc.record({
    edits: fc.array(
      fc.tuple(
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.constantFrom('set', 'insert', 'remove', 'copy'),
      ),
      {
        minLength: 1,
        maxLength: 6,
      },
    ),
    which: fc.nat(),
  });

  function mutate(bytes: Buffer, edits: [number, number, string][]): Buffer {
    let result = Buffer.from(bytes);
    for (const [at, byte, kind] of edits) {
      const i = at % (result.length + 1);
      if (kind === 'set' && i < result.length) result[i] = byte;
      else if (kind === 'insert')
        result = Buffer.concat([result.subarray(0, i), Buffer.from([byte]), result.subarray(i)]);
      else if (kind === 'remove')
        result = Buffer.concat([result.subarray(0, i), result.subarray(i + 1 + (byte % 8))]);
      else result = Buffer.concat([result, result.subarray(i, i + byte)]);
    }
    return result;
  }

  test('give a value or a PickleError', () => {
    const runs = Math.round(5_000 * SOAK);
    fc.assert(
      fc.property(mutation, ({ edits, which }) => {
        const bytes = mutate(pickles[which % pickles.length]!, edits as [number, number, string][]);
        attempt(() => {
          const value = loads(bytes, { unknown: 'broken', encoding: 'latin-1', persistentLoad: () => null });
          try {
            dumps(value);
          } catch (error) {
            // Values that only a damaged pickle can make need not be writable, but they must say why.
            if ((error as { code?: string }).code !== 'PICKLING') throw error;
          }
        });
      }),
      { numRuns: runs },
    );
  });

  test('of records likewise, and the scanner finds what the reader finds', () => {
    const runs = Math.round(5_000 * SOAK);
    fc.assert(
      fc.property(mutation, ({ edits, which }) => {
        const bytes = mutate(records[which % records.length]!, edits as [number, number, string][]);
        attempt(() => readStructure(bytes));
        attempt(() => references(bytes));
        attempt(() => {
          const strong = scanReferences(bytes).filter((reference) => reference.kind === 'strong');
          expect(references(bytes)).toEqual(strong.map((reference) => reference.oid));
        });
      }),
      { numRuns: runs },
    );
  });
});
