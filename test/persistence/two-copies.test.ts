/** Two copies of the package in one process: each works, the second says so, and what is mixed gets an error that names both the class and the other copy. */
import * as here from '../../src/persistence/index';
import { MapJar } from './map-jar';

type Copy = typeof here;

const warnings: [message: unknown, options: unknown][] = [];
let other!: Copy;
let OtherJar!: typeof MapJar;

class Alien {
  n = 1;
  next: unknown = null;
}

@here.persistent('copies.Own')
class Own {
  x: unknown = null;
}

beforeAll(() => {
  const emitWarning = jest
    .spyOn(process, 'emitWarning')
    .mockImplementation((message: unknown, options: unknown) => void warnings.push([message, options]));
  jest.isolateModules(() => {
    other = jest.requireActual<Copy>('../../src/persistence/index');
    OtherJar = jest.requireActual<{ MapJar: typeof MapJar }>('./map-jar').MapJar;
  });
  // As if the next one came from another place.
  const copies = (globalThis as unknown as Record<symbol, { directory: string }[]>)[
    Symbol.for('zodb.copies')
  ]!;
  const { directory } = copies[0]!;
  copies[0]!.directory = '/elsewhere/zodb/dist';
  jest.isolateModules(() => void jest.requireActual<Copy>('../../src/persistence/index'));
  copies[0]!.directory = directory;
  copies.pop();
  emitWarning.mockRestore();
  other.persistent('copies.Alien')(Alien);
});

test('the second says once which they are, and what helps', () => {
  expect(warnings).toEqual([
    [
      expect.stringMatching(
        /^The package zodb was loaded again from .*src, by jest\.resetModules\(\) or .*registry/,
      ),
      { code: 'ZODB_TWO_COPIES' },
    ],
    [
      expect.stringMatching(
        /^A second copy of the package zodb was loaded: \d+\.\d+\.\d+ in .*src beside \/elsewhere\/zodb\/dist\. .*`npm ls zodb`.*`npm dedupe`/,
      ),
      { code: 'ZODB_TWO_COPIES' },
    ],
  ]);
});

test('each works by itself', () => {
  const jar = new OtherJar();
  const alien = new Alien();
  const oid = jar.cache.add(alien);
  jar.commit();
  jar.cache.minimize();
  expect(jar.cache.get(oid)).toMatchObject({ n: 1 });
  expect([other.isPersistent(alien), here.isPersistent(alien)]).toEqual([true, false]);
  expect(other.registry).not.toBe(here.registry);
});

describe.each<[string, () => Alien]>([
  ['new', () => new Alien()],
  [
    'stored',
    () => {
      const jar = new OtherJar();
      const alien = new Alien();
      jar.cache.add(alien);
      jar.commit();
      return alien;
    },
  ],
])("an object of the other copy, %s, in this one's database", (_name, make) => {
  test('in a field', () => {
    const jar = new MapJar();
    const own = new Own();
    own.x = [1, make()];
    jar.cache.add(own);
    expect(() => jar.commit()).toThrow(
      /^copies\.Own\.x\[1\]: objects of the class Alien cannot be saved here: its class is made persistent by another copy of the package zodb \(\d+\.\d+\.\d+ in .*src\); see `npm ls zodb`$/,
    );
  });

  test('by itself', () => {
    expect(() => new MapJar().cache.add(make())).toThrow(
      /^This Alien can't be stored here: its class is made persistent by another copy of the package zodb \(.*\)/,
    );
  });
});

test('a class of no copy gets the usual word', () => {
  class Nobody {}
  const jar = new MapJar();
  const own = new Own();
  own.x = new Nobody();
  jar.cache.add(own);
  expect(() => jar.commit()).toThrow(
    'copies.Own.x: objects of the class Nobody cannot be saved; register it with @persistent or @value',
  );
});
