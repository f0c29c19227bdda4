/** Classes registered with `@value` that Python makes in a way that their fields can't say. */
import { persistent, Registry, value } from '../../src/persistence/index';
import { Global, PyDict, PyInstance } from '../../src/pickle/index';
import { readStructure } from '../../src/record/index';
import { MapJar, Records } from './map-jar';

function made(by: 'newobj' | 'call', name: string, args: unknown[], state?: unknown): PyInstance {
  const instance = new PyInstance(by, Global.of('states', name), Object.freeze(args));
  instance.state = state;
  return instance;
}

/** What one program stores, read by another that knows the classes `Known` and `Custom`. */
function exchanged(stored: unknown): {
  box: { a: unknown; n: number };
  state: () => { a: unknown };
  Known: object;
  Custom: object;
  commit: () => void;
} {
  const plain = new Registry();
  @persistent({ name: 'states.Box', registry: plain })
  class PlainBox {
    a = stored;
    n = 0;
  }
  const registry = new Registry();
  @persistent({ name: 'states.Box', registry })
  class Box {
    a: unknown;
    n = 0;
  }
  @value('states.Known', { registry })
  class Known {
    x = 1;
  }
  @value('states.Custom', { registry })
  class Custom {
    state: unknown;
    __getstate__(): unknown {
      return this.state;
    }
    __setstate__(state: unknown): void {
      this.state = state;
    }
  }
  const records = new Records();
  const writer = new MapJar(records, { registry: plain });
  const oid = writer.cache.add(new PlainBox());
  writer.commit();
  const jar = new MapJar(records, { registry });
  const state = (): { a: unknown } =>
    readStructure(records.revisions.get(oid)!.at(-1)!.data).state as { a: unknown };
  return {
    box: jar.cache.get(oid) as Box,
    state,
    Known,
    Custom,
    commit: () => {
      jar.commit();
    },
  };
}

test.each([
  ['a named tuple', made('newobj', 'Known', [1, 2])],
  ['a named tuple with fields', made('newobj', 'Known', [1, 2], { z: 3 })],
  ['a subclass of str', made('newobj', 'Known', ['text'])],
  ['the result of a call', made('call', 'Known', [5])],
  ['slots', made('newobj', 'Known', [], Object.freeze([null, { x: 1 }]))],
  ['slots and fields', made('newobj', 'Known', [], Object.freeze([{ y: 2 }, { x: 1 }]))],
  ['a state of its own', made('newobj', 'Known', [], 5)],
  ['a state with other keys', made('newobj', 'Known', [], new PyDict([[1, 'one']]))],
  ['arguments and a class with __setstate__', made('newobj', 'Custom', [1], { a: 1 })],
])('%s is kept as Python made it', (_name, stored) => {
  const { box, state, commit } = exchanged(stored);
  expect(box.a).toBeInstanceOf(PyInstance);
  expect(box.a).toEqual(stored);
  box.n = 1;
  commit();
  expect(state().a).toEqual(stored);
});

test('fields are those of the class, and a state of its own is for __setstate__', () => {
  const { box, state, Known, Custom, commit } = exchanged([
    made('newobj', 'Known', [], { x: 5 }),
    made('newobj', 'Custom', [], 7),
    made('newobj', 'Known', []),
  ]);
  const [known, custom, bare] = box.a as [object, { state: unknown }, object];
  expect([known, bare].map((each) => each.constructor)).toEqual([Known, Known]);
  expect({ ...known }).toEqual({ x: 5 });
  expect([custom.constructor, custom.state]).toEqual([Custom, 7]);
  box.n = 1;
  commit();
  expect((state().a as PyInstance[]).map((each) => each.state)).toEqual([{ x: 5 }, 7, undefined]);
});
