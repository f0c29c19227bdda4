import { readFileSync } from 'node:fs';
import {
  dumps,
  loads,
  PickleError,
  PickleReader,
  type ReaderOptions,
  type StringEncoding,
} from '../../src/pickle/index';
import { fixturePath, readJson } from '../fixtures';
import { Comparison, needsPython, Notation } from './notation';

interface Outcome {
  value?: unknown;
  error?: { type: string; message: string };
}

function check(actual: unknown, expected: unknown, eightBit: 'latin1' | 'bytes' = 'latin1'): void {
  const comparison = new Comparison();
  comparison.eightBit = eightBit;
  const notation = new Notation();
  notation.eightBit = eightBit;
  comparison.check(actual, notation.read(expected));
}

function read(bytes: Uint8Array, options: ReaderOptions): unknown {
  const reader = new PickleReader({ unknown: 'broken', ...options });
  reader.open(bytes);
  return reader.read();
}

describe('each opcode', () => {
  const fixture = readJson('pickles', 'opcodes', 'valid.json') as {
    extension_registry: Record<string, [string, string]>;
    cases: { name: string; hex: string; out_of_band_buffers?: string[]; structure: unknown }[];
  };
  const extensions = new Map(
    Object.entries(fixture.extension_registry).map(([code, name]) => [Number(code), name]),
  );

  test.each(fixture.cases)('$name', ({ hex, structure, out_of_band_buffers: buffers = [] }) => {
    const ids = new Map<object, unknown>();
    const options: ReaderOptions = {
      extensions,
      encoding: 'latin-1',
      buffers: buffers.map((text) => Buffer.from(text, 'hex')),
      persistentLoad: (pid) => {
        const object = { pid };
        ids.set(object, pid);
        return object;
      },
    };
    const comparison = new Comparison();
    const value = read(Buffer.from(hex, 'hex'), options);
    for (const [object, pid] of ids) comparison.persistentIds.set(object, pid);
    comparison.check(value, new Notation().read(structure));
  });
});

describe('malformed pickles are errors with a place', () => {
  const { cases } = readJson('pickles', 'opcodes', 'invalid.json') as {
    cases: { name: string; hex: string; zodb: Outcome }[];
  };

  test.each(cases)('$name', ({ hex }) => {
    const bytes = Buffer.from(hex, 'hex');
    let error: unknown;
    try {
      read(bytes, {});
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(PickleError);
    const { offset, message, code } = error as PickleError;
    expect(code).toBe('PICKLE');
    expect(offset).toBeGreaterThanOrEqual(0);
    expect(offset).toBeLessThanOrEqual(bytes.length);
    expect(message).toContain(`at byte ${offset}`);
  });
});

describe('what other versions of Python write', () => {
  const { cases } = readJson('pickles', 'versions.json') as {
    cases: {
      name: string;
      variants: { hex: string; written_by: string[]; structure: unknown; value: unknown }[];
    }[];
  };
  const variants = cases.flatMap(({ name, variants: all }) =>
    all.map((variant, i) => [`${name} ${i}: ${variant.written_by[0]}`, variant] as const),
  );

  test.each(variants)('%s', (_name, { hex, structure, value }) => {
    const bytes = Buffer.from(hex, 'hex');
    check(read(bytes, {}), structure);
    if (!needsPython(value) && !/getattr|"type"|path|ipv/.test(JSON.stringify([structure, _name]))) {
      check(loads(bytes, { unknown: 'broken' }), value);
    }
    check(read(dumps(read(bytes, {}), { protocol: 5 }), {}), structure);
  });
});

describe('what Python 2 wrote', () => {
  const { cases } = readJson('pickles', 'py2', 'py2.json') as {
    cases: {
      name: string;
      pickles: Record<string, { file: string; structure: number } & Record<string, number>>;
      structures: unknown[];
      results: Outcome[];
    }[];
  };
  const pickles = cases.flatMap(({ name, pickles: all, structures, results }) =>
    Object.entries(all).map(([tag, pickle]) => [`${name}.${tag}`, pickle, structures, results] as const),
  );
  const encodings: [string, StringEncoding][] = [
    ['ascii', 'ascii'],
    ['ascii_or_bytes', 'ascii-or-bytes'],
    ['latin1', 'latin-1'],
    ['bytes', 'bytes'],
  ];

  test.each(pickles)('%s', (_name, pickle, structures, results) => {
    const bytes = readFileSync(fixturePath('pickles', 'py2', pickle.file));
    const structure = structures[pickle.structure];
    check(read(bytes, { encoding: 'latin-1' }), structure, 'latin1');
    check(read(bytes, { encoding: 'bytes' }), structure, 'bytes');
    for (const [key, encoding] of encodings) {
      const expected = results[pickle[key]!]!;
      if (expected.error?.type === 'UnicodeDecodeError') {
        expect(() => loads(bytes, { encoding, unknown: 'broken' })).toThrow(/An 8-bit string is not ascii/);
      } else if (
        expected.error === undefined &&
        !needsPython(expected.value) &&
        !JSON.stringify(expected.value).includes('$global')
      ) {
        check(loads(bytes, { encoding, unknown: 'broken' }), expected.value);
      }
    }
  });
});
