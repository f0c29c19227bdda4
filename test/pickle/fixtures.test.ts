import { readFileSync } from 'node:fs';
import { dumps, loads, PickleReader, type ReaderOptions } from '../../src/pickle/index';
import { fixturePath, listFixtures, readJson } from '../fixtures';
import { Comparison, needsPython, Notation } from './notation';

interface Case {
  name: string;
  value: unknown;
  pickles: Record<string, { file?: string; structure: number; loads_as?: unknown; error?: unknown }>;
  structures: unknown[];
}

/** Reads with the names as they stand in the pickle, and unknown classes kept. */
function read(bytes: Uint8Array, options: ReaderOptions = {}): unknown {
  const reader = new PickleReader({ unknown: 'broken', ...options });
  reader.open(bytes);
  const value = reader.read();
  expect(reader.position).toBeLessThanOrEqual(bytes.length);
  return value;
}

function check(actual: unknown, expected: unknown, protocol = 5): void {
  const comparison = new Comparison();
  comparison.withoutFold = protocol < 4;
  comparison.check(actual, new Notation().read(expected));
}

const SPECIAL = ['index.json', 'versions.json'];
const names = listFixtures('pickles', '.json').filter((name) => !SPECIAL.includes(name));

describe.each(names)('the pickles of %s', (file) => {
  const fixture = readJson('pickles', file) as Case;
  const tags = Object.entries(fixture.pickles).filter(([, pickle]) => pickle.file !== undefined);

  test.each(tags)('%s has the expected structure and value', (_tag, pickle) => {
    const bytes = readFileSync(fixturePath('pickles', pickle.file!));
    check(read(bytes), fixture.structures[pickle.structure]);
    const value = pickle.loads_as ?? fixture.value;
    if (!needsPython(value) && !/getattr|_reconstructor|"type"/.test(JSON.stringify(fixture.structures))) {
      check(loads(bytes, { unknown: 'broken' }), value);
    }
  });

  test.each(tags)('%s is written so that it reads back the same', (_tag, pickle) => {
    const value = read(readFileSync(fixturePath('pickles', pickle.file!)));
    for (const protocol of [2, 3, 4, 5] as const) {
      const again = dumps(value, { protocol });
      // Keyword arguments of __new__ take a detour below protocol 4.
      if (protocol >= 4 || !JSON.stringify(fixture.structures).includes('"kwargs"')) {
        check(read(again), fixture.structures[pickle.structure], protocol);
      }
      expect(dumps(read(again), { protocol })).toEqual(again);
    }
  });
});
