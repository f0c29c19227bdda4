/**
 * Pickles and records, checked by Python: what is written here is read there as an equal value of the same type, and back. Needs
 * a Python (`PYTHON`) with `zodbpickle`.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  Complex,
  ByteArray,
  Decimal,
  dumps,
  Fraction,
  FrozenSet,
  Global,
  loads,
  PyDate,
  PyDateTime,
  PyDict,
  PyInstance,
  PyTime,
  PyTimeDelta,
  PyTimezone,
  UUID,
} from '../../src/pickle/index';
import { RecordReader, RecordWriter, StoredReference, structureHooks } from '../../src/record/index';
import { fixturePath, listFixtures } from '../fixtures';
import { graphs, scalars } from '../pickle/arbitrary';

const SCALE = Number(process.env.ZODB_SOAK ?? 1);
const python = process.env.PYTHON ?? '/usr/bin/python3';

/** Why Python can't be asked, in one line, if it can't. */
function missing(): string | undefined {
  const { error, status, stderr } = spawnSync(python, ['-c', 'import zodbpickle.pickle'], {
    encoding: 'utf8',
  });
  if (error !== undefined) return `${python}: ${error.message}`;
  return status === 0 ? undefined : `${python} has no zodbpickle: ${stderr.trim().split('\n').at(-1)}`;
}

interface Answer {
  error?: string;
  value?: unknown;
  again?: string;
  same?: boolean;
  shared?: boolean;
  a?: unknown;
  b?: unknown;
  class?: [string, string];
  data?: string;
}

function ask(questions: object[]): Answer[] {
  const input = questions.map((question) => JSON.stringify(question)).join('\n');
  const { stdout, stderr, error } = spawnSync(python, [join(__dirname, 'pickle_oracle.py')], {
    input,
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (error !== undefined) throw error;
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
  if (answers.length !== questions.length) throw new Error(`Python stopped: ${stderr}`);
  return answers;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function float(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return Number.isNaN(value) ? 'nan' : bytes.toString('hex');
}

const textOf = (value: string): string => `s${Buffer.from(value, 'utf16le').toString('hex')}`;
const byJson = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

/** What Python should say about a value; the other half is in `pickle_oracle.py`. */
function describeValue(value: unknown, seen: Map<unknown, number>): unknown {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? `i${value}` : `f${float(value)}`;
  if (typeof value === 'bigint') return `i${value}`;
  if (typeof value === 'string') return textOf(value);
  if (value instanceof ByteArray) return `B${Buffer.from(value).toString('hex')}`;
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString('hex')}`;
  const inner = (part: unknown): unknown => describeValue(part, seen);
  if (Array.isArray(value) && Object.isFrozen(value)) return ['tuple', ...value.map(inner)];
  if (value instanceof Set)
    return [value instanceof FrozenSet ? 'frozenset' : 'set', ...[...value].map(inner).sort(byJson)];
  if (value instanceof PyDateTime) return ['datetime', value.isoformat(), inner(value.tz)];
  if (value instanceof Date)
    return [
      'datetime',
      value
        .toISOString()
        .replace(/\.000Z$/, '+00:00')
        .replace(/Z$/, '000+00:00'),
      inner(PyTimezone.utc),
    ];
  if (value instanceof PyTime) return ['time', value.toString(), inner(value.tz)];
  if (value instanceof PyDate) return ['date', value.toString()];
  if (value instanceof PyTimeDelta) return ['delta', value.days, value.seconds, value.microseconds];
  if (value instanceof PyTimezone)
    return ['zone', inner(value.offset), value.name === undefined ? null : textOf(value.name)];
  if (value instanceof Decimal) return ['decimal', value.text];
  if (value instanceof Fraction) return ['fraction', String(value.numerator), String(value.denominator)];
  if (value instanceof Complex) return ['complex', float(value.re), float(value.im)];
  if (value instanceof UUID) return ['uuid', value.toString()];
  if (value instanceof Global) return ['global', value.toString()];
  const known = seen.get(value);
  if (known !== undefined) return ['ref', known];
  seen.set(value, seen.size);
  if (Array.isArray(value)) return ['list', ...value.map(inner)];
  if (value instanceof PyInstance) return ['thing', inner(value.state)];
  const isDict = !(value instanceof Map) || value instanceof PyDict;
  const pairs: [unknown, unknown][] =
    value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value as object);
  if (isDict)
    pairs.sort((a, b) => byJson(describeValue(a[0], new Map(seen)), describeValue(b[0], new Map(seen))));
  return [isDict ? 'dict' : 'OrderedDict', ...pairs.map(([key, item]) => [inner(key), inner(item)])];
}

const why = missing();
if (why !== undefined) process.stdout.write(`Live pickle tests are left out: ${why}\n`);
const live = why === undefined ? test : test.failing;
if (why !== undefined) {
  test('Python is not there', () => expect(why).toBeDefined());
} else {
  live('10,000 random values are equal values of the same types to Python, and come back', () => {
    const { smallBigint: _, ...leaves } = scalars;
    const values = fc.sample(graphs(leaves), { numRuns: Math.round(10_000 * SCALE), seed: 20_261_121 });
    const answers = ask(values.map((value) => ({ op: 'describe', data: base64(dumps(value)) })));
    answers.forEach((answer, i) => {
      expect(answer.error).toBeUndefined();
      expect(answer.value).toEqual(describeValue(values[i], new Map()));
      const back = loads(Buffer.from(answer.again!, 'base64'), { unknown: 'broken' });
      expect(describeValue(back, new Map())).toEqual(answer.value);
    });
  });

  live('every fixture, read and written again, is the same to Python', () => {
    const names = listFixtures('pickles', '.pickle').filter((name) => /\.(p[0-3]|z3)\.pickle$/.test(name));
    const originals = names.map((name) => readFileSync(fixturePath('pickles', name)));
    const rewritten = originals.map((bytes) => dumps(loads(bytes, { unknown: 'broken' })));
    const answers = ask(
      originals.map((bytes, i) => ({ op: 'same', data: base64(bytes), other: base64(rewritten[i]!) })),
    );
    answers.forEach((answer, i) => {
      expect([names[i], answer.error]).toEqual([names[i], undefined]);
      if (answer.same !== true) {
        expect([names[i], withoutIntegralFloats(answer.b)]).toEqual([
          names[i],
          withoutIntegralFloats(answer.a),
        ]);
      }
    });
  });

  live("values of JavaScript alone are broken instances to Python's ZODB, which keeps them intact", () => {
    const error = Object.assign(new TypeError('bad', { cause: 1 }), { code: 'X' });
    const values = [undefined, /a+/g, new URL('http://x/'), error, new Float64Array([1.5]), new Date(NaN)];
    const [answer] = ask([{ op: 'broken', data: base64(dumps(values)) }]);
    if (/No module named 'ZODB'/.test(answer!.error ?? '')) {
      process.stdout.write('Broken instances are left out: there is no ZODB on the PYTHONPATH\n');
      return;
    }
    expect(answer!.error).toBeUndefined();
    expect((answer!.value as string[])[1]).toBe('<broken zodb_js.RegExp instance>');
    const back = loads(Buffer.from(answer!.again!, 'base64')) as typeof values;
    expect(inspect(back)).toBe(inspect(values));
    expect((back[3] as typeof error).code).toBe('X');
  });

  live('a record keeps the type of every field when another one was changed', () => {
    const [sample] = ask([{ op: 'record' }]);
    const record = Buffer.from(sample!.data!, 'base64');
    const { cls, fields, values } = new RecordReader(structureHooks).read(record);
    values[fields!.indexOf('changed')] = 'now a text';
    const writer = new RecordWriter({
      reference: (object) => (object instanceof StoredReference ? (object as never) : undefined),
    });
    const [state] = ask([{ op: 'state', data: base64(writer.writeFields(cls, fields!, values)) }]);
    expect(state!.error).toBeUndefined();
    expect(state!.class).toEqual(['app', 'Sample']);
    expect(state!.value).toEqual({ ...(sample!.value as object), changed: textOf('now a text') });
    expect(state!.shared).toBe(true);
  });
}

/** The one exception: a float that is integral becomes an int when it is not a field itself (docs/values.md). */
function withoutIntegralFloats(described: unknown): unknown {
  if (Array.isArray(described)) return described.map(withoutIntegralFloats);
  if (typeof described !== 'string' || !/^f[0-9a-f]{16}$/.test(described)) return described;
  const value = Buffer.from(described.slice(1), 'hex').readDoubleBE();
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? `i${value}` : described;
}
