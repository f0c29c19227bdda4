/** What `loads` and `dumps` say to arguments that are wrong. */
import { InvalidArgumentError } from '../../src/errors';
import { dumps, loads, valueClasses } from '../../src/pickle/index';

test.each<[unknown, unknown, string]>([
  ['gAN4', {}, 'loads() takes the bytes of a pickle, a Buffer or Uint8Array, not string.'],
  [undefined, {}, 'loads() takes the bytes of a pickle, a Buffer or Uint8Array, not undefined.'],
  [
    dumps(1),
    { unkown: 'broken' },
    'loads() has no option "unkown"; it has unknown, encoding, extensions, maxDepth, buffers, persistentLoad, resolve, protocol, persistentId, reduce.',
  ],
])('loads(%p, %p)', (bytes, options, message) => {
  const call = (): unknown => loads(bytes as Uint8Array, options as object);
  expect(call).toThrow(InvalidArgumentError);
  expect(call).toThrow(message);
});

test.each<[unknown, string]>([
  [{ protocol: 9 }, 'dumps() writes protocol 2, 3, 4 or 5, not 9.'],
  [{ protocol: '3' }, 'dumps() writes protocol 2, 3, 4 or 5, not 3.'],
  [{ protocl: 3 }, 'dumps() has no option "protocl"; it has '],
])('dumps(1, %p)', (options, message) => {
  const call = (): unknown => dumps(1, options as object);
  expect(call).toThrow(InvalidArgumentError);
  expect(call).toThrow(message);
});

test('one object of options serves both', () => {
  class Money {
    constructor(public amount: number) {}
  }
  const options = { ...valueClasses({ 'shop.Money': Money }), protocol: 4, encoding: 'latin-1' } as const;
  expect(loads(dumps(new Money(5), options), options)).toEqual(new Money(5));
});
