import fc from 'fast-check';
import { dumps, loads } from '../../src/pickle/index';
import { graphs, javascriptOnly, scalars } from './arbitrary';
import { difference } from './isomorphic';

const numRuns = Math.round(700 * Number(process.env.ZODB_SOAK ?? 1));

test.each([2, 3, 4, 5] as const)(
  'decode(encode(v)) is v, with its aliasing and cycles, at protocol %i',
  (protocol) => {
    fc.assert(
      fc.property(graphs({ ...scalars, ...javascriptOnly }), (value) => {
        const bytes = dumps(value, { protocol });
        expect(difference(loads(bytes, { unknown: 'broken' }), value)).toBeUndefined();
      }),
      { numRuns },
    );
  },
);

test('what was read is written as it was', () => {
  fc.assert(
    fc.property(graphs({ ...scalars, ...javascriptOnly }), (value) => {
      const bytes = dumps(value);
      expect(dumps(loads(bytes, { unknown: 'broken' }))).toEqual(bytes);
    }),
    { numRuns },
  );
});
