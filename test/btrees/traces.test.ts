import { InvalidArgumentError } from '../../src/errors';
import { InvalidKeyError, InvalidValueError } from '../../src/btrees/index';
import { listFixtures, readJsonLines } from '../fixtures';
import {
  classOf,
  structureOf,
  type AnyCollection,
  type AnyMapping,
  type AnySet,
  type Kind,
} from './collections';
import { familyOf, valueOf } from './notation';

interface Step {
  op: string;
  args?: unknown[];
  kw?: Record<string, unknown>;
  of?: Record<string, unknown>;
  ret?: unknown;
  err?: [type: string, message: string];
}
interface Run {
  family: string;
  kind: Kind;
  max_leaf_size: number;
  max_internal_size: number;
}

const NOTHING = Symbol('nothing');

/** What Python raises KeyError, ValueError or IndexError for is `undefined`, `false` or the fallback here. */
function orAbsent(value: unknown, absent: unknown = undefined): unknown {
  return value === absent ? NOTHING : value;
}

function query(kw: Record<string, unknown> = {}): object {
  return {
    min: kw.min == null ? undefined : valueOf(kw.min),
    max: kw.max == null ? undefined : valueOf(kw.max),
    excludeMin: kw.excludemin,
    excludeMax: kw.excludemax,
  };
}

/** Python answers the very `True` it was given, though it stores 1. */
function toggled(result: unknown, given: unknown): unknown {
  return typeof given === 'boolean' && result === Number(given) ? given : result;
}

/** 1.0 is no integer in Python; here it is: 1.5 stands in for it where Python refuses it. */
function fractional(arg: unknown): unknown {
  return JSON.parse(JSON.stringify(arg).replace(/("\$float":"-?\d+)\.0"/g, '$1.5"'));
}

interface Ranged {
  keys(q?: object): Sequence;
  values(q?: object): Sequence;
  entries(q?: object): Sequence;
}
interface Sequence extends Iterable<unknown> {
  length: number;
  at(i: number): unknown;
  slice(a?: number, b?: number): Iterable<unknown>;
}

const names: Record<string, 'keys' | 'values' | 'entries'> = {
  keys: 'keys',
  values: 'values',
  items: 'entries',
};

function run(collection: AnyCollection, { op, args = [], kw, of, err }: Step): unknown {
  const refused = err?.[0] === 'TypeError' || op === 'discard';
  const given = args.map((arg) => valueOf(refused ? fractional(arg) : arg));
  const [a, b] = given;
  const mapping = collection as AnyMapping;
  const set = collection as AnySet;
  const isMapping = 'get' in collection;
  const part = /^(?:len\()?(?:iter)?(keys|values|items)(\)|\[.*)?$/.exec(op);
  if (part) {
    const sequence = (collection as unknown as Ranged)[names[part[1]!]!](query(of ?? kw));
    if (op.startsWith('len')) return sequence.length;
    if (op.endsWith('[i]')) return orAbsent(sequence.at(a as number));
    return op.endsWith('[a:b]') ? [...sequence.slice(a as number, b as number)] : [...sequence];
  }
  switch (op) {
    case 'setitem':
      return void mapping.set(a, b);
    case 'getitem':
      return mapping.get(a, NOTHING);
    case 'get':
      return mapping.get(a, b ?? null);
    case 'delitem':
    case 'remove':
      return collection.delete(a) ? undefined : NOTHING;
    case 'discard':
      return void set.discard(a);
    case 'contains':
    case 'has_key':
      return collection.has(a);
    case 'add':
    case 'insert':
      return Number(isMapping ? mapping.insert(a, b) : set.insert(a));
    case 'setdefault':
      return toggled(mapping.setDefault(a, b), b);
    case 'pop':
      return isMapping ? mapping.pop(a, given.length > 1 ? b : NOTHING) : orAbsent(set.pop());
    case 'popitem':
      return orAbsent(mapping.popItem());
    case 'update':
      return isMapping ? void mapping.update(a as []) : set.update(a as []);
    case 'clear':
      return collection.clear();
    case 'len':
      return collection.size;
    case 'bool':
      return !collection.isEmpty;
    case 'iter':
      return [...collection.keys()];
    case 'minKey':
      return orAbsent(collection.minKey(a ?? undefined));
    case 'maxKey':
      return orAbsent(collection.maxKey(a ?? undefined));
    case 'byValue':
      return mapping.byValue(a);
    case 'structure':
      return structureOf(collection);
  }
  throw new Error(`Unknown operation ${op}`);
}

describe.each(listFixtures('btrees', '.jsonl').filter((name) => name.startsWith('trace-')))('%s', (file) => {
  const lines = readJsonLines('btrees', file) as (Step | Run)[];
  let collection!: AnyCollection;
  const runs: { title: string; start: Run; steps: Step[] }[] = [];
  for (const line of lines) {
    if ('family' in line) {
      const title = `${line.kind} with ${line.max_leaf_size} and ${line.max_internal_size}`;
      runs.push({ title: `${runs.length}: ${title}`, start: line, steps: [] });
    } else {
      runs.at(-1)!.steps.push(line);
    }
  }

  it.each(runs)('answers as Python does: $title', ({ start, steps }) => {
    expect(start.family).toBe(familyOf(file));
    collection = new (classOf(start.family, start.kind, start.max_leaf_size, start.max_internal_size))();
    steps.forEach((step, i) => {
      let result: unknown;
      try {
        result = run(collection, step);
      } catch (error) {
        const expected =
          error instanceof InvalidKeyError ||
          error instanceof InvalidValueError ||
          error instanceof InvalidArgumentError;
        if (!expected) throw error;
        result = 'TypeError';
      }
      const wanted =
        step.err === undefined
          ? step.op === 'structure'
            ? undefined
            : (valueOf(step.ret ?? null) ?? undefined)
          : step.err[0] === 'TypeError'
            ? 'TypeError'
            : NOTHING;
      expect([i, step.op, step.args, step.kw, result ?? undefined]).toEqual([
        i,
        step.op,
        step.args,
        step.kw,
        plain(step, wanted),
      ]);
    });
  });
});

/** Structures stand in the fixture as plain JSON around values. */
function plain({ op, ret }: Step, wanted: unknown): unknown {
  return op === 'structure' && ret != null ? node(ret as Node) : wanted;
}

interface Node {
  k: unknown[];
  v?: unknown[];
  c?: Node[];
}

function node({ k, v, c }: Node): unknown {
  if (c) return { k: k.map(valueOf), c: c.map(node) };
  return v ? { k: k.map(valueOf), v: v.map(valueOf) } : { k: k.map(valueOf) };
}
