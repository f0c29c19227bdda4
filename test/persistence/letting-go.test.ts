/** Collections of plain values of which too many are watched: they stay loaded, with copies of what the program may hold. */
import fc from 'fast-check';
import { PersistentMapping } from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

type Held = Record<string, unknown>;

/** Mappings of what `fill` gives, loaded by a fresh jar. */
function stored(count: number, fill: (i: number) => Held) {
  const records = new Records();
  const first = new MapJar(records);
  const oids = Array.from({ length: count }, (_, i) =>
    first.cache.add(new PersistentMapping(Object.entries(fill(i)))),
  );
  first.commit();
  const open = (jar: MapJar) => jar.cache.getMany(oids) as PersistentMapping<string, unknown>[];
  const jar = new MapJar(records);
  return {
    jar,
    mappings: open(jar),
    again: () => open(new MapJar(records)).map((mapping) => Object.fromEntries(mapping)),
  };
}

/** So that all that can be let go of is. */
function rest(jar: MapJar): void {
  for (let i = 0; i < 200; i++) jar.commit();
}

test.each<[string, (i: number) => unknown]>([
  ['arrays', (i) => [i]],
  ['plain objects', (i) => ({ n: i })],
  ['nested ones, with dates', (i) => ({ n: i, tags: ['a', { deep: [i] }], when: new Date(i) })],
  ['tuples', (i) => ({ pair: Object.freeze([i, [i]]) })],
])('%s are copied, and those that the program holds are sealed: nothing is loaded again', (_, fill) => {
  const { jar, mappings, again } = stored(300, (i) => ({ v: fill(i) }));
  const { loads } = jar.cache.statistics;
  const held = mappings.map((mapping) => mapping.get('v') as object);
  rest(jar);
  expect(jar.cache.statistics.exposed).toBe(100);
  expect(held.filter((value) => Object.isFrozen(value)).length).toBe(200);
  const now = mappings.map((mapping) => mapping.get('v') as object);
  expect(now).toEqual(held);
  now.forEach((value, i) => {
    expect(Object.isFrozen(value)).toBe(false);
    if (Array.isArray(value)) value.push('more');
    else Object.assign(value, { more: i });
  });
  jar.commit();
  expect(jar.cache.statistics.loads).toBe(loads);
  expect(again()).toEqual(now.map((v) => ({ v })));
  expect(again()[299]!.v).not.toEqual(fill(299));
});

const shared = [1];
test.each<[string, (i: number) => Held]>([
  ['that stand twice', () => ({ v: shared, w: shared })],
  ['of which another holds a part', () => ({ v: { shared }, w: shared })],
  ['that another, not watched, may hold', (i) => ({ v: [i], w: { list: [i] } })],
  ['that are Maps', (i) => ({ v: new Map([[i, i]]) })],
  ['that hold bytes', (i) => ({ v: { bytes: Buffer.from([i % 256]) } })],
  [
    'among very many',
    (i) => ({ v: [i], ...Object.fromEntries(Array.from({ length: 256 }, (_, n) => [n, n])) }),
  ],
])('values %s stay as they are, and watched', (_, fill) => {
  const { jar, mappings, again } = stored(150, fill);
  const held = mappings.map((mapping) => mapping.get('v'));
  rest(jar);
  expect(jar.cache.statistics.exposed).toBe(150);
  expect(mappings.map((mapping, i) => mapping.get('v') === held[i])).not.toContain(false);
  expect(again()).toEqual(Array.from({ length: 150 }, (_, i) => fill(i)));
});

test('what would have to be loaded again goes last', () => {
  const { jar, mappings } = stored(1_200, (i) => ({ v: i < 300 ? new Map([[i, i]]) : [i] }));
  const { loads } = jar.cache.statistics;
  const held = mappings.map((mapping) => mapping.get('v'));
  rest(jar);
  expect(jar.cache.statistics).toMatchObject({ exposed: 300, loads });
  expect(held.slice(0, 300).filter((map, i) => mappings[i]!.get('v') !== map)).toEqual([]);
});

test('what is read or changed in each transaction is not let go of', () => {
  const { jar, mappings, again } = stored(300, (i) => ({ v: { n: i } }));
  const held = mappings.map((mapping) => mapping.get('v') as { n: number });
  for (let i = 0; i < 200; i++) {
    for (let n = 0; n < 20; n++) mappings[n]!.get('v');
    held[20]!.n = 1_000 + i;
    jar.commit();
  }
  expect(held.map((value) => Object.isFrozen(value)).indexOf(true)).toBe(21);
  expect(again()[20]).toEqual({ v: { n: 1_199 } });
});

describe('whatever is read, held, changed and stored', () => {
  const COUNT = 200;
  const fills: ((i: number) => Held)[] = [
    (i) => ({ v: { list: [i] } }),
    (i) => ({ v: { list: [i], when: new Date(i) }, other: [i] }),
    (i) => ((list) => ({ v: { list }, list }))([i]),
    (i) => ({ v: Object.assign([i], {}) }),
    (i) => ({ v: { list: [i], map: new Map([['n', i]]) } }),
  ];
  const fill = (i: number): Held => fills[i % fills.length]!(i);
  const change = (value: unknown, n: number): void => {
    (Array.isArray(value) ? value : (value as { list: unknown[] }).list).push(n);
  };
  const step = fc.record({ kind: fc.constantFrom('get', 'change', 'change', 'set'), at: fc.nat(COUNT - 1) });
  const traces = fc.array(fc.array(step, { maxLength: 12 }), { minLength: 20, maxLength: 60 });

  test('a change is stored, or refused where it is made', () => {
    fc.assert(
      fc.property(traces, (transactions) => {
        const model = Array.from({ length: COUNT }, (_, i) => fill(i));
        const { jar, mappings, again } = stored(COUNT, fill);
        const held = mappings.map((mapping) => mapping.get('v'));
        for (const [number, steps] of transactions.entries()) {
          for (const { kind, at } of steps) {
            const mapping = mappings[at]!;
            if (kind === 'get') held[at] = mapping.get('v');
            else if (kind === 'set') {
              Object.assign(model[at]!, { v: { list: [number] } });
              mapping.set('v', (held[at] = { list: [number] }));
            } else {
              try {
                change(held[at], number);
                change(model[at]!.v, number);
              } catch (error) {
                expect(error).toBeInstanceOf(TypeError);
                expect(mapping.get('v')).not.toBe(held[at]);
              }
            }
          }
          // Boundaries at which nothing was used let go of more.
          for (let i = 0; i < 8; i++) jar.commit();
        }
        expect(mappings.map((mapping) => Object.fromEntries(mapping))).toEqual(model);
        expect(again()).toEqual(model);
      }),
      { numRuns: 40 * Number(process.env.ZODB_SOAK ?? 1) },
    );
  });
});
