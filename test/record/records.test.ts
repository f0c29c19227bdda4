import type { Oid } from '../../src/ids';
import { heapAfterCollection, withoutGarbage } from '../garbage';
import {
  ByteArray,
  dumps,
  FrozenSet,
  loads,
  PickleError,
  PicklingError,
  PyDict,
  valueClasses,
} from '../../src/pickle/index';
import {
  ClassMeta,
  FieldKind,
  FieldList,
  readStructure,
  RecordReader,
  RecordWriter,
  type Reference,
  references,
  scanReferences,
  StoredReference,
  structureHooks,
} from '../../src/record/index';

const account = ClassMeta.of('bank.models', 'Account');
const keyed = ClassMeta.withArgs('bank.models', 'Keyed', ['key', 7]);
const strong = (oid: number, cls?: ClassMeta): StoredReference =>
  new StoredReference('strong', oid as Oid, cls);
const reader = new RecordReader(structureHooks);
const writer = new RecordWriter({
  reference: (object) => (object instanceof StoredReference ? (object as Reference) : undefined),
});

function write(state: Record<string, unknown>, kinds: FieldKind[] = []): Buffer {
  return writer.writeFields(account, FieldList.of(Object.keys(state), kinds), Object.values(state));
}

describe('lists of fields', () => {
  test('the same names and kinds are the same object', () => {
    const a = FieldList.of(['x', 'y'], [FieldKind.auto, FieldKind.float]);
    expect(FieldList.of(['x', 'y'], [FieldKind.auto, FieldKind.float])).toBe(a);
    expect(FieldList.of(['x', 'y'])).not.toBe(a);
    expect(FieldList.of(['y', 'x'], [FieldKind.float])).not.toBe(a);
    expect(FieldList.of(['x']).with('y', FieldKind.float)).toBe(a);
    expect([a.names, a.kinds, a.length, a.canonical, a.indexOf('y')]).toEqual([
      ['x', 'y'],
      [0, 1],
      2,
      true,
      1,
    ]);
  });

  test('records of the same fields give the same list and values of their own', () => {
    const first = reader.read(write({ name: 'a', age: 1 }));
    const second = reader.read(write({ name: 'b', age: 2 }));
    expect(second.fields).toBe(first.fields);
    expect(first.values).toEqual(['a', 1]);
    expect(second.values).toEqual(['b', 2]);
  });

  test('100,000 different names leave the heap bounded, and values are intact', () => {
    const before = heapAfterCollection();
    for (let i = 0; i < 100_000; i++) {
      const name = `field ${i}`;
      const record = Buffer.from(
        `\x80\x03cm\nC\nq\x00.\x80\x03}q\x01X${String.fromCharCode(name.length)}\0\0\0${name}K\x05s.`,
        'latin1',
      );
      const { fields, values } = reader.read(record);
      if (fields!.names[0] !== name || values[0] !== 5) throw new Error(`${name} is damaged`);
    }
    const limit = 30 * 2 ** 20;
    expect(withoutGarbage(limit, () => heapAfterCollection() - before)).toBeLessThan(limit);
  });

  test('names of any length leave the heap bounded too: of fields, of keys of a value, of classes', () => {
    const before = heapAfterCollection();
    const text = (value: string): string => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(value.length);
      return `X${size.toString('latin1')}${value}`;
    };
    for (let i = 0; i < 100; i++) {
      const name = `${i}${'x'.repeat(1_000_000)}`;
      for (const bytes of [
        `\x80\x03cm\nC\n.\x80\x03}${text(name)}K\x05s.`,
        `\x80\x03cm\nC\n.\x80\x03}${text('value')}}${text(name)}K\x05ss.`,
        `\x80\x03cm\n${name}\n.\x80\x03}${text('value')}K\x05s.`,
      ]) {
        const { cls, fields, values } = reader.read(Buffer.from(bytes, 'latin1'));
        const value: unknown = values[0];
        const found = typeof value === 'object' ? (value as Record<string, unknown>)[name] : value;
        if (found !== 5 || ![cls.name, fields!.names[0], Object.keys(value as object)[0]].includes(name)) {
          throw new Error(`name ${i} is damaged`);
        }
      }
    }
    const limit = 20 * 2 ** 20;
    expect(withoutGarbage(limit, () => heapAfterCollection() - before)).toBeLessThan(limit);
  });

  test('a state of very many fields is read and written like another', () => {
    const state = Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`f${i}`, i % 2 ? i : i + 0.5]));
    const { fields, values } = reader.read(write(state));
    expect(fields!.canonical).toBe(false);
    expect(Object.fromEntries(fields!.names.map((name, i) => [name, values[i]]))).toEqual(state);
    expect(writer.writeFields(account, fields!, values)).toEqual(write(state));
  });

  test('a name that comes twice keeps its first place and its last value, as in a dict', () => {
    const record = Buffer.from(
      '\x80\x03cm\nC\n.\x80\x03}(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02X\x01\0\0\0aK\x03u.',
      'latin1',
    );
    const { fields, values } = reader.read(record);
    expect([fields!.names, values]).toEqual([
      ['a', 'b'],
      [3, 2],
    ]);
  });
});

describe('floats stay floats', () => {
  test('a field read as a float is written as one, integral or not', () => {
    const record = write({ a: 1, zero: 0, two: 2, half: 0.5, text: 'x' }, [0, 1, 1, 0, 0]);
    const { fields, values } = reader.read(record);
    expect(fields!.kinds).toEqual([0, 1, 1, 1, 0]);
    expect(writer.writeFields(account, fields!, values)).toEqual(record);
    values[fields!.indexOf('half')] = 7;
    const again = reader.read(writer.writeFields(account, fields!, values));
    expect(again.fields).toBe(fields);
    expect(again.values).toEqual([1, 0, 2, 7, 'x']);
  });

  test('a float inside a value does not make its neighbours floats', () => {
    const record = Buffer.concat([
      dumps(loads(Buffer.from('cm\nC\n.'), { unknown: 'broken' })),
      Buffer.from(
        '\x80\x03}(X\x01\0\0\0a]G\x40\0\0\0\0\0\0\0aX\x01\0\0\0bK\x02X\x01\0\0\0cG\x40\0\0\0\0\0\0\0X\x01\0\0\0d}u.',
        'latin1',
      ),
    ]);
    const { fields, values } = reader.read(record);
    expect(values).toEqual([[2], 2, 2, {}]);
    expect(fields!.kinds).toEqual([0, 0, 1, 0]);
  });
});

describe('kinds of fields', () => {
  test('fix how a value is written', () => {
    const state = {
      int: 5n,
      tuple: [1, 2],
      list: Object.freeze([1, 2]),
      dict: new Map([['k', 1]]),
      bytes: Buffer.from('b'),
      set: new Set([1]),
    };
    const kinds = [
      FieldKind.int,
      FieldKind.tuple,
      FieldKind.list,
      FieldKind.dict,
      FieldKind.bytearray,
      FieldKind.frozenset,
    ];
    const { values } = reader.read(write(state, kinds));
    expect(values).toEqual([5, [1, 2], [1, 2], { k: 1 }, ByteArray.from([98]), new FrozenSet([1])]);
    expect(values.slice(1, 3).map((value) => Object.isFrozen(value))).toEqual([true, false]);
  });

  test('do not bend values of other types', () => {
    const state = { float: 'text', int: 1.5, tuple: null, dict: { a: 1 } };
    const kinds = [FieldKind.float, FieldKind.int, FieldKind.tuple, FieldKind.dict];
    expect(reader.read(write(state, kinds)).values).toEqual(['text', 1.5, null, { a: 1 }]);
  });

  test('keep a bigint that is put where a float was', () => {
    const record = writer.writeFields(account, reader.read(write({ a: 0.5, b: 0.5 })).fields!, [
      5n,
      3n ** 60n,
    ]);
    expect(reader.read(record).values).toEqual([5n, 3n ** 60n]);
  });
});

describe('references', () => {
  test('go out in every form and come back', () => {
    const state = {
      strong: strong(1, account),
      again: [strong(1, account), strong(1, account)],
      bare: strong(2),
      keyed: strong(3, keyed),
      weak: new StoredReference('weak', 4 as Oid),
      weakElsewhere: new StoredReference('weak', 5 as Oid, undefined, 'other'),
      foreign: new StoredReference('foreign', 6 as Oid, account, 'other'),
      foreignBare: new StoredReference('foreign', 7 as Oid, undefined, 'other'),
    };
    const record = write(state);
    expect(writer.references).toEqual([1, 2, 3]);
    expect(references(record)).toEqual([1, 1, 1, 2, 3]);
    const { values } = reader.read(record);
    expect(values).toEqual([
      ...Object.values(state).slice(0, 3),
      strong(3),
      ...Object.values(state).slice(4),
    ]);
    expect(scanReferences(record).map(({ kind, oid, database }) => [kind, oid, database])).toEqual([
      ['strong', 1, undefined],
      ['strong', 1, undefined],
      ['strong', 1, undefined],
      ['strong', 2, undefined],
      ['strong', 3, undefined],
      ['weak', 4, undefined],
      ['weak', 5, 'other'],
      ['foreign', 6, 'other'],
      ['foreign', 7, 'other'],
    ]);
  });

  test('repeat nothing: oid and class are written once', () => {
    const once = write({ refs: [strong(1, account)] }).length;
    const twice = write({ refs: [strong(1, account), strong(1, account)] }).length;
    expect(twice - once).toBeLessThan(12);
  });

  test('more than 256 of them, and large oids', () => {
    const oids = Array.from({ length: 400 }, (_, i) => i * 2 ** 40 + i);
    const record = write({ refs: oids.map((oid) => strong(oid, account)) });
    expect(references(record)).toEqual(oids);
    expect(writer.references).toEqual(oids);
    expect((reader.read(record).values[0] as StoredReference[]).map(({ oid }) => oid)).toEqual(oids);
  });

  test('a text that looks like opcodes is none', () => {
    const text = 'C\x08\0\0\0\0\0\0\0\x01QqQ\x86Q';
    expect(references(write({ text, bytes: Buffer.from(text), [text]: 1 }))).toEqual([]);
  });

  test('the bytes of an oid can be fetched from the memo like any others', () => {
    const state = Buffer.from(
      '\x80\x03]q\x01(C\x08\0\0\0\0\0\0\0\x05q\x02h\x00\x86q\x03Qh\x02h\x03h\x02h\x00\x86Qe.',
      'latin1',
    );
    const record = Buffer.concat([Buffer.from('\x80\x03cbank.models\nAccount\nq\x00.', 'latin1'), state]);
    const bytes = Buffer.from([0, 0, 0, 0, 0, 0, 0, 5]);
    expect(reader.read(record).state).toEqual([
      strong(5, account),
      bytes,
      [bytes, account.global],
      strong(5, account),
    ]);
    expect(references(record)).toEqual([5, 5]);
  });
});

describe('class metadata', () => {
  test.each([
    [account],
    [keyed],
    [ClassMeta.withArgs('m', 'C', [])],
    [ClassMeta.withArgs('m', 'C', null, 'names-args')],
    [ClassMeta.withArgs('m', 'C', ['x'], 'names-args')],
    [ClassMeta.withArgs('m', 'C', null)],
  ])('%p keeps its form', (cls) => {
    const read = reader.read(writer.write(cls, null));
    expect([read.cls.module, read.cls.name, read.cls.form, read.cls.newargs]).toEqual([
      cls.module,
      cls.name,
      cls.form,
      cls.newargs,
    ]);
    expect(read.cls.bare).toBe(ClassMeta.of(cls.module, cls.name));
  });

  test('what is no class is an error', () => {
    expect(() => reader.read(dumps([1, 2]))).toThrow(PickleError);
    expect(() => reader.read(Buffer.alloc(0))).toThrow(/ends in the middle/);
  });

  test('a name with a line feed is refused', () => {
    expect(() => writer.write(ClassMeta.of('m', 'a\nb'), null)).toThrow(/line feed/);
  });

  test('the memo runs through both pickles', () => {
    const record = write({ ref: strong(1, account) });
    expect(record.toString('latin1').split('bank.models')).toHaveLength(2);
  });
});

describe('other states', () => {
  test.each([
    [null],
    [5],
    [[1, 2]],
    [Object.freeze([null, { slot: 1 }])],
    ['text'],
    [new PyDict([[1, 2]])],
    [new Map([['a', 1]])],
  ])('%p comes back as it is', (state) => {
    const read = reader.read(writer.write(account, state));
    expect(read.fields).toBeUndefined();
    expect(read.state).toStrictEqual(state);
  });

  test('slots beside attributes: the dict of a pair is a value', () => {
    const state = Object.freeze([{ a: 1, b: {} }, { c: 2 }]);
    expect(reader.read(writer.write(account, state)).state).toEqual(state);
  });

  test('a plain object is a dict of fields, as is one in a cycle with itself', () => {
    expect(reader.read(writer.write(account, { a: 1 })).fields!.names).toEqual(['a']);
    const own: Record<string, unknown> = { a: 1 };
    own['self'] = own;
    const { fields, values } = reader.read(writer.write(account, own));
    expect(fields!.names).toEqual(['a', 'self']);
    expect(Object.keys(values[1] as object)).toEqual(['a', 'self']);
  });
});

describe('depth', () => {
  const nested = (depth: number): unknown => {
    let value: unknown = 1;
    for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
    return value;
  };

  test('of 10,000 is written, read, scanned and shown; beyond is an error, with the beginning of the path', () => {
    // The dict of the fields is the outermost level when it is written.
    const record = write({ id: 1, value: nested(9_999) });
    expect(reader.read(record).fields!.names).toEqual(['id', 'value']);
    expect(reader.read(record).values[0]).toBe(1);
    expect(references(record)).toEqual([]);
    expect(scanReferences(record)).toEqual([]);
    expect(() => write({ id: 1, value: nested(10_001) })).toThrow(
      /^value\[0\]\.value\[0\].*nested more than 10000 deep/,
    );
  });

  test('beyond it a record is refused by the reader, and taken by the scanner, which builds nothing', () => {
    const deep = Buffer.from(
      `\x80\x03cm\nC\nq\0.\x80\x03}q\x01X\x01\0\0\0vq\x02${']'.repeat(10_001)}C\x08\0\0\0\0\0\0\0\x05h\0\x86Q${'a'.repeat(10_001)}s.`,
      'latin1',
    );
    for (let i = 0; i < 6; i++) expect(() => reader.read(deep)).toThrow(/nested more than 10000 deep/);
    expect(references(deep)).toEqual([5]);
  });
});

describe('what cannot be saved', () => {
  test('is an error with the path from the object', () => {
    const failing = (): Buffer => write({ ok: 1, history: [1, { callback: () => 1 }] });
    expect(failing).toThrow(PicklingError);
    expect(failing).toThrow(/^history\[1\]\.callback: functions cannot be saved$/);
  });

  test('leaves the writer as good as new', () => {
    const before = write({ a: [1], ref: strong(1, account) });
    expect(() => write({ a: [strong(9, account), () => 1] })).toThrow(PicklingError);
    expect(write({ a: [1], ref: strong(1, account) })).toEqual(before);
    expect(writer.references).toEqual([1]);
  });

  test('records are equal for equal states, and independent of what was written before', () => {
    const one = write({ a: 'x', b: ['x', 'y'] });
    write({ a: 'y', c: Array.from({ length: 100 }, (_, i) => `text ${i}`) });
    expect(write({ a: 'x', b: ['x', 'y'] })).toEqual(one);
  });
});

test('registered value classes stand inside records', () => {
  class Money {
    constructor(readonly amount: number) {}
  }
  const classes = valueClasses({ 'shop.Money': Money });
  const own = new RecordWriter({ reference: () => undefined, reduce: classes.reduce });
  const record = own.write(account, { price: new Money(5) });
  expect(new RecordReader({ ...structureHooks, resolve: classes.resolve }).read(record).values).toEqual([
    new Money(5),
  ]);
  expect(readStructure(record).state).toMatchObject({ price: { by: 'newobj', state: { amount: 5 } } });
});

test('a hook may read another record, with the same reader and while it fails', () => {
  const inner = write({ name: 'inner', list: ['a', 'b'] });
  const outer = write({ first: strong(1, account), name: 'outer', second: strong(2, account) });
  const seen: unknown[] = [];
  const nested: RecordReader = new RecordReader({
    ...structureHooks,
    strongReference: (oid) => {
      if (oid === 2) expect(() => nested.read(inner.subarray(0, 30))).toThrow(PickleError);
      seen.push(nested.read(inner).values);
      return oid;
    },
  });
  const { fields, values } = nested.read(outer);
  expect([fields?.names, values]).toEqual([
    ['first', 'name', 'second'],
    [1, 'outer', 2],
  ]);
  expect(seen).toEqual([
    ['inner', ['a', 'b']],
    ['inner', ['a', 'b']],
  ]);
});
