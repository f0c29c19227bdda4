/** Objects that Python stored, as objects here, and back: every record of the fixtures. */
import { readFileSync } from 'node:fs';
import { Broken, type LoadedRecord, Registry } from '../../src/persistence/index';
import { readClass, readStructure, references, scanReferences } from '../../src/record/index';
import type { Oid, Tid } from '../../src/ids';
import { fixturePath, listFixtures } from '../fixtures';
import { MapJar, Records } from './map-jar';

const names = listFixtures('records', '.record');

/** A registry that makes a class for every name it is asked for. */
function knowingAll(): Registry {
  const registry = new Registry();
  registry.onMissing = () => class {};
  return registry;
}

describe.each([
  ['whose classes are missing', () => new Registry()],
  ['whose classes are known', knowingAll],
])('a record %s', (_title, makeRegistry) => {
  test.each(names)('%s is loaded, and is the same when it is stored again', (name) => {
    const data = readFileSync(fixturePath('records', name));
    const records = new Records();
    records.revisions.set(99 as Oid, [{ data, serial: 1n as Tid }]);
    for (const { kind, oid } of scanReferences(data)) {
      if (kind !== 'foreign' && oid !== 99) {
        records.revisions.set(oid, [
          { data: readFileSync(fixturePath('records', 'plain.record')), serial: 1n as Tid },
        ]);
      }
    }
    records.lastTid = 1n as Tid;
    const jar = new MapJar(records, { registry: makeRegistry() });
    let object: { _p_changed: boolean | null };
    try {
      object = jar.cache.get(99 as Oid) as typeof object;
    } catch (error) {
      // A state that is no set of fields needs a class with __setstate__.
      expect(String(error)).toMatch(/its state is no dict of fields/);
      return;
    }
    object._p_changed = true;
    jar.commit();
    const [before, after] = records.revisions.get(99 as Oid)! as unknown as [LoadedRecord, LoadedRecord];
    expect(readClass(after.data).toString()).toBe(readClass(data).toString());
    if (object instanceof Broken || !/container/.test(name)) {
      expect(readStructure(after.data).state).toEqual(readStructure(before.data).state);
      expect(references(after.data)).toEqual(references(before.data));
    }
  });
});
