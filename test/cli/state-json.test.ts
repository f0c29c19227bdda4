import { stateJson } from '../../src/cli/state-json';
import { Global, PyDict, PyInstance } from '../../src/pickle/index';

const shown = (state: unknown): unknown => (JSON.parse(stateJson({ state })) as { state: unknown }).state;

test('values that JSON has are shown as they are, shared ones twice', () => {
  const list = [1, 'a', null, true];
  expect(shown({ list, same: list, deep: [[list]] })).toEqual({ list, same: list, deep: [[list]] });
});

test('what JSON would leave out is shown', () => {
  expect(shown([2n ** 64n, new Set([1, new Set(['a'])]), new Map([[1, new Map([['b', 5n]])]])])).toEqual([
    '18446744073709551616',
    { $set: [1, { $set: ['a'] }] },
    { $map: [[1, { $map: [['b', '5']] }]] },
  ]);
});

test('a value inside of itself is shown by its distance', () => {
  const list: unknown[] = [];
  list.push(list, { list }, [new Set([list])]);
  expect(shown(list)).toEqual([{ $again: 1 }, { list: { $again: 2 } }, [{ $set: [{ $again: 4 }] }]]);
});

test('so is one that shows itself as another object', () => {
  const instance = new PyInstance('call', Global.of('m', 'C'), []);
  const dict = new PyDict<unknown, unknown>([[1, instance]]);
  instance.state = { self: instance, dict };
  const json = shown(instance) as { $class: string; state: { self: object; dict: { $dict: unknown[][] } } };
  expect([json.$class, json.state.self]).toEqual(['m.C', { $again: 2 }]);
  expect(json.state.dict.$dict).toEqual([[1, { $again: 5 }]]);
});
