/** What leaves a program, and what is said to programmers. */
import { Exclude } from 'class-transformer';
import {
  oidOf,
  persistent,
  PersistentList,
  PersistentMapping,
  Registry,
  toPlain,
  value,
} from '../../src/persistence/index';
import { MapJar, Records } from './map-jar';

@value('edges.Money')
class Money {
  constructor(public amount: number) {}
}

@persistent('edges.Node')
class Node {
  @Exclude() secret = 's';
  name: string;
  next: Node | null = null;
  map: Map<unknown, unknown> = new Map([['a', 1]]);
  set = new Set([1n]);
  bytes = Uint8Array.of(1, 2);
  money = new Money(5);
  others: Node[] = [];
  constructor(name: string) {
    this.name = name;
  }
}

describe('toPlain', () => {
  test('cuts references beyond a depth, follows none for it, and respects class-transformer', () => {
    const records = new Records();
    const writer = new MapJar(records);
    const [a, b] = [new Node('a'), new Node('b')];
    a.next = b;
    b.next = a;
    a.others = [b];
    const oid = writer.cache.add(a);
    writer.commit();
    const reader = new MapJar(records);
    const object = reader.cache.get(oid) as Node;
    const rest = { map: { a: 1 }, set: ['1'], bytes: 'AQI=', money: { amount: 5 } };
    const ref = (node: Node): object => ({ $ref: `0x${oidOf(node)!.toString(16)}`, $class: 'edges.Node' });
    expect(toPlain(object)).toEqual({ name: 'a', ...rest, next: ref(b), others: [ref(b)] });
    expect(reader.loads).toBe(1);
    const deep = { name: 'b', ...rest, next: ref(a), others: [] };
    expect(toPlain(object, { depth: 1 })).toEqual({ name: 'a', ...rest, next: deep, others: [deep] });
    expect(JSON.parse(JSON.stringify(toPlain(object, { depth: 5 })))).toMatchObject({
      next: { next: ref(a) },
    });
    expect(toPlain(new Node('new'))).toMatchObject({ name: 'new', next: null });
    expect(toPlain(new Map([[1, object]]))).toEqual([[1, ref(a)]]);
    expect(toPlain(5n)).toBe('5');
  });
});

describe('what will not be saved is said once', () => {
  function warningsOf(work: () => void): string[] {
    const spy = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    work();
    const messages = spy.mock.calls.map(([message]) => String(message));
    spy.mockRestore();
    return messages;
  }

  test('private members', () => {
    const own = new Registry();
    class Private {
      #field = 1;
      #bare: number | undefined;
      static #shared = 1;
      ok = 1;
      #method(): number {
        return this.#field + (this.#bare ?? 0) + Private.#shared;
      }
      run(): number {
        return this.#method();
      }
    }
    const [message] = warningsOf(() => own.register('m', 'Private', Private));
    expect(message).toMatch(/^m\.Private: #field, #bare, #method will not be saved/);
    expect(
      warningsOf(() =>
        new Registry().register('m', 'P', Private, { transient: ['#field', '#bare', '#method'] }),
      ),
    ).toEqual([]);
    expect(warningsOf(() => new Registry().register('m', 'Node', Node))).toEqual([]);
  });
});

describe('what can not be saved is named as the program would write it', () => {
  const no = (): number => 1;

  test.each<[string, string, unknown]>([
    ['root.x', 'x', no],
    ['root.x[1].on', 'x', [1, { on: no }]],
    ['root["a \\"b\\""].on', 'a "b"', { on: no }],
    ['root.data.data', 'data', { data: no }],
    ['root["1"]', '1', no],
    ['edges.Node.others[0]', 'x', Object.assign(new Node('n'), { others: [no] })],
    ['persistent.mapping.PersistentMapping.get("k")[0]', 'x', new PersistentMapping([['k', [no]]])],
    ['persistent.mapping.PersistentMapping.get(1)', 'x', new PersistentMapping([[1, no]])],
    ['persistent.list.PersistentList[1].on', 'x', new PersistentList([1, { on: no }])],
  ])('%s', (path, name, value) => {
    const jar = new MapJar();
    const root = jar.root(() => new PersistentMapping<string, unknown>());
    root.set(name, value);
    expect(() => jar.commit()).toThrow(
      expect.objectContaining({
        path,
        message: expect.stringMatching(/: functions cannot be saved/) as string,
      }),
    );
  });

  test('a function in the root gets no advice that is for classes', () => {
    const jar = new MapJar();
    jar.root(() => new PersistentMapping<string, unknown>()).set('x', no);
    expect(() => jar.commit()).toThrow(/^root\.x: functions cannot be saved$/);
  });
});
