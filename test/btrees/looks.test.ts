/** How collections look from outside: in the console, as JSON, to whoever lists or compares properties. */
import assert from 'node:assert';
import { inspect } from 'node:util';
import { IOBTree, IOBucket, Length, OOBTree, OOSet, OOTreeSet } from '../../src/btrees/index';
import { DB } from '../../src/database/index';
import { persistent } from '../../src/persistence/index';

@persistent('test.looks.City')
class City {
  constructor(public name: string) {}
}

const upTo = (count: number): [number, number][] => Array.from({ length: count }, (_, i) => [i, i * i]);

describe('in the console', () => {
  it.each([
    [new OOBTree(), 'OOBTree(0) {}'],
    [new OOBTree([['a', 1]]), "OOBTree(1) { 'a' => 1 }"],
    [new OOTreeSet(['a', 'b']), "OOTreeSet(2) { 'a', 'b' }"],
    [new OOSet(['a']), "OOSet(1) { 'a' }"],
    [new IOBucket([[1, { x: [1] }]]), 'IOBucket(1) { 1 => { x: [ 1 ] } }'],
    [new Length(7), 'Length(7)'],
    [{ tree: new OOBTree([['a', 1]]) }, "{ tree: OOBTree(1) { 'a' => 1 } }"],
    [{ a: { b: { tree: new OOBTree([['a', 1]]) } } }, '{ a: { b: { tree: [OOBTree] } } }'],
    [new OOBTree(upTo(20)).keys({ max: 2 }), 'OOBTree keys [ 0, 1, 2 ]'],
    [new OOBTree(upTo(20)).keys({ min: 17, reverse: true }), 'OOBTree keys [ 19, 18, 17 ]'],
    [new OOBTree(upTo(20)).values({ min: 3, max: 4 }), 'OOBTree values [ 9, 16 ]'],
    [new OOBTree(upTo(2)).entries(), 'OOBTree entries [ [ 0, 0 ], [ 1, 1 ] ]'],
    [new OOTreeSet([1]).keys({ min: 2 }), 'OOTreeSet keys []'],
  ])('%#', (value, text) => {
    expect(inspect(value)).toBe(text);
  });

  it('a large one shows its beginning', () => {
    const tree = new IOBTree(upTo(500));
    const text = inspect(tree);
    expect(text.startsWith('IOBTree {\n  0 => 0,\n  1 => 1,')).toBe(true);
    expect(text.endsWith('99 => 9801,\n  …\n}')).toBe(true);
    expect(inspect(tree, { maxArrayLength: 2 })).toBe('IOBTree { 0 => 0, 1 => 1, … }');
    expect(inspect(new IOBTree(upTo(70)), { maxArrayLength: 80, breakLength: Infinity })).toMatch(
      /^IOBTree\(70\) { 0 => 0, .* 69 => 4761 }$/,
    );
    expect(inspect(tree.keys({ reverse: true }), { maxArrayLength: 2 })).toMatch(
      /^IOBTree keys \[ \d+, \d+, … ]$/,
    );
  });

  it('shows what is loaded, and loads nothing', () => {
    const db = new DB<{ tree: () => OOBTree<number, unknown> }>(null, {
      root: { tree: () => new OOBTree() },
    });
    db.transaction((root) => {
      for (const [key] of upTo(100)) root.tree.set(key, new City(`c${key}`));
    });
    const conn = db.open();
    conn.cacheMinimize();
    const { tree } = conn.root;
    const { loads } = conn.cacheStatistics;
    expect(inspect(tree)).toBe('<OOBTree, not loaded>');
    expect(conn.cacheStatistics.loads).toBe(loads);
    expect(tree.isEmpty).toBe(false);
    const looked = conn.cacheStatistics.loads;
    expect(inspect(tree)).toBe('OOBTree { … }');
    expect(tree.minKey()).toBe(0);
    expect(inspect(tree, { maxArrayLength: 1 })).toMatch(
      /^OOBTree { 0 => <test\.looks\.City 0x[0-9a-f]+>, … }$/,
    );
    expect(conn.cacheStatistics.loads).toBe(looked + 1);
    conn.close();
    db.close();
  });
});

describe('to programs', () => {
  const make = (): IOBTree<string> => new IOBTree([[1, 'x']]);

  it('has no properties of its own to list or to copy', () => {
    for (const one of [make(), new IOBucket([[1, 'x']]), new OOSet(['a']), new OOTreeSet()]) {
      expect([Object.keys(one), Object.keys({ ...one }), Object.getOwnPropertySymbols(one)]).toEqual([
        [],
        [],
        [],
      ]);
    }
  });

  it('is its entries as JSON', () => {
    expect(JSON.stringify({ tree: make(), keys: new OOTreeSet(['b', 'a']), size: new Length(3) })).toBe(
      '{"tree":[[1,"x"]],"keys":["a","b"],"size":3}',
    );
  });

  it('equals one with the same entries, whatever happened to either', () => {
    const grown = new IOBTree(upTo(300));
    for (let key = 2; key < 300; key++) grown.delete(key);
    expect(grown).toEqual(new IOBTree(upTo(2)));
    expect(grown).not.toEqual(new IOBTree(upTo(3)));
    expect(make()).not.toEqual(new IOBTree([[1, 'y']]));
    expect(new OOTreeSet(['a'])).not.toEqual(new OOTreeSet(['b']));
    assert.deepStrictEqual([...make()], [[1, 'x']]);
  });

  it('has the tag of its class', () => {
    expect(Object.prototype.toString.call(make())).toBe('[object IOBTree]');
  });
});
