import { readFileSync } from 'node:fs';
import { formatOid, oidFromBigInt, type Oid } from '../../src/ids';
import { define, Global } from '../../src/pickle/index';
import {
  className,
  type ClassMeta,
  readClass,
  readStructure,
  RecordReader,
  RecordWriter,
  type Reference,
  references,
  rewriteReferences,
  scanReferences,
  StoredReference,
  structureHooks,
} from '../../src/record/index';
import { fixturePath, listFixtures, readJson } from '../fixtures';
import { Comparison, Notation } from '../pickle/notation';

interface RecordCase {
  class: [string, string];
  metadata: unknown;
  state: unknown;
  references: unknown[];
  referencesf: string[];
}

/** The persistent id of a reference as the fixtures show it, built from its parts. */
function persistentId(reference: StoredReference, wanted: unknown): unknown {
  const oid = Buffer.from(BigInt(formatOid(reference.oid)).toString(16).padStart(16, '0'), 'hex');
  const text = JSON.stringify(wanted);
  const oidAsWritten = text.includes('"$bytes"') ? oid : oid.toString('latin1');
  const cls =
    reference.cls === undefined
      ? undefined
      : text.includes('"$global"')
        ? reference.cls.global
        : Object.freeze([reference.cls.module, reference.cls.name]);
  if (reference.kind === 'strong')
    return cls === undefined ? oidAsWritten : Object.freeze([oidAsWritten, cls]);
  if (reference.kind === 'weak') {
    if (!text.includes('"w"')) return [oidAsWritten];
    return ['w', Object.freeze(reference.database === undefined ? [oid] : [oid, reference.database])];
  }
  return cls === undefined
    ? ['n', Object.freeze([reference.database, oid])]
    : ['m', Object.freeze([reference.database, oid, cls])];
}

/** Compares a state with the fixture's; references are compared by their persistent ids, in order. */
function checkState(state: unknown, expected: RecordCase, found: readonly StoredReference[]): void {
  const comparison = new Comparison();
  expect(found).toHaveLength(expected.references.length);
  found.forEach((reference, i) =>
    comparison.persistentIds.set(reference, persistentId(reference, expected.references[i])),
  );
  found.forEach((reference, i) => {
    new Comparison().check(
      persistentId(reference, expected.references[i]),
      new Notation().read(expected.references[i]),
    );
  });
  comparison.check(state, new Notation().read(expected.state));
}

/** Hooks that note references in the order met. */
function noting(): { reader: RecordReader; found: StoredReference[] } {
  const found: StoredReference[] = [];
  const note = (reference: unknown): StoredReference => {
    found.push(reference as StoredReference);
    return reference as StoredReference;
  };
  const reader = new RecordReader({
    strongReference: (oid, cls) => note(structureHooks.strongReference(oid, cls)),
    weakReference: (oid, database) => note(structureHooks.weakReference(oid, database)),
    foreignReference: (database, oid, cls) => note(structureHooks.foreignReference(database, oid, cls)),
  });
  return { reader, found };
}

function stateOf(content: ReturnType<RecordReader['read']>): unknown {
  if (content.fields === undefined) return content.state;
  const state = {};
  content.fields.names.forEach((name, i) => define(state, name, content.values[i]));
  return state;
}

function checkClass(cls: ClassMeta, expected: RecordCase): void {
  expect([cls.module, cls.name]).toEqual(expected.class);
  new Comparison().check(cls.pickled, new Notation().read(expected.metadata));
}

const oids = (hex: readonly string[]): Oid[] => hex.map((text) => oidFromBigInt(BigInt(`0x${text}`)));

const writer = new RecordWriter({
  reference: (object) => (object instanceof StoredReference ? (object as Reference) : undefined),
});

const names = listFixtures('records', '.record').map((name) => name.slice(0, -'.record'.length));

describe.each(names)('the record %s', (name) => {
  const record = readFileSync(fixturePath('records', `${name}.record`));
  const expected = readJson('records', `${name}.json`) as RecordCase;

  test('has the expected class, state and references', () => {
    const { reader, found } = noting();
    const content = reader.read(record);
    checkClass(content.cls, expected);
    checkState(stateOf(content), expected, found);
  });

  test('is read from the middle of a larger buffer', () => {
    const padded = Buffer.concat([Buffer.from('QQQ'), record, Buffer.from('.Q')]);
    const { reader, found } = noting();
    checkState(stateOf(reader.read(padded, 3, 3 + record.length)), expected, found);
  });

  test('is read as structure, and shows its class by itself', () => {
    expect(Object.keys(readStructure(record))).toEqual(['cls', 'state']);
    expect(className(record)).toBe(expected.class.join('.'));
    checkClass(readClass(record), expected);
  });

  test('lists its references without decoding the state', () => {
    expect(references(record)).toEqual(oids(expected.referencesf));
    const strong = scanReferences(record).filter((reference) => reference.kind === 'strong');
    expect(strong.map((reference) => reference.oid)).toEqual(oids(expected.referencesf));
    expect(scanReferences(record)).toHaveLength(expected.references.length);
  });

  test('is rewritten with the same meaning', () => {
    const content = new RecordReader(structureHooks).read(record);
    const again =
      content.fields === undefined
        ? writer.write(content.cls, content.state)
        : writer.writeFields(content.cls, content.fields, content.values);
    expect(writer.references).toEqual([...new Set(oids(expected.referencesf))]);
    const { reader, found } = noting();
    const second = reader.read(again);
    checkClass(second.cls, expected);
    expect(second.fields).toBe(content.fields);
    if (!name.includes('class-name-tuple') && !name.includes('legacy-weak') && !name.includes('oid-text')) {
      checkState(stateOf(second), expected, found);
    }
  });

  test('has its references mapped for import', () => {
    const mapped = rewriteReferences(record, (oid) => (oid + 1000) as Oid);
    expect(mapped).toHaveLength(record.length);
    if (name.includes('oid-text')) return;
    expect(references(mapped)).toEqual(oids(expected.referencesf).map((oid) => oid + 1000));
    expect(rewriteReferences(mapped, (oid) => (oid - 1000) as Oid)).toEqual(record);
  });
});

test('classes without arguments are one object', () => {
  const record = readFileSync(fixturePath('records', 'plain.record'));
  expect(readClass(record)).toBe(readClass(record));
  expect(readClass(record).global).toBe(Global.of('fixture_app.models', 'Account'));
});
