/**
 * The notation of values in the JSON fixtures, as a graph to compare decoded values with. A built-in value of Python occurs
 * there either as what it is (`$datetime`) or as the call that makes it (`$obj`): both become the same node.
 */
import {
  ByteArray,
  Complex,
  Decimal,
  Fraction,
  FrozenSet,
  Global,
  PyDate,
  PyDateTime,
  PyDict,
  PyInstance,
  PyTime,
  PyTimeDelta,
  PyTimezone,
  UUID,
} from '../../src/pickle/index';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Members = Record<string, Json>;

/** A node of the graph: a kind, what it holds directly, and other nodes. */
export interface Node {
  kind: string;
  text?: string;
  parts: Node[];
}

const STRUCTURAL = [
  '$instance',
  '$enum',
  '$namedtuple',
  '$exception',
  '$subclass',
  '$defaultdict',
  '$counter',
  '$deque',
  '$range',
  '$slice',
  '$array',
  '$regex',
  '$ellipsis',
  '$notimplemented',
];

/** Whether a value in the notation holds something that only Python can make: those are compared by structure. */
export function needsPython(json: unknown): boolean {
  if (Array.isArray(json)) return json.some(needsPython);
  if (JSON.stringify(json) === '{"$global":["builtins","NoneType"]}') return true;
  if (typeof json !== 'object' || json === null) return false;
  return Object.entries(json).some(([key, value]) => STRUCTURAL.includes(key) || needsPython(value));
}

const leaf = (kind: string, text: unknown): Node => ({ kind, text: String(text), parts: [] });

function float(text: string): Node {
  const number =
    text === 'inf' ? Infinity : text === '-inf' ? -Infinity : text === 'nan' ? NaN : Number(text);
  return number_(number);
}

/** Integers and floats are one type here; a bigint is an integer beyond the safe ones. */
function number_(value: number): Node {
  return leaf('number', Object.is(value, -0) ? '-0' : value);
}

function timezone(j: Members): Node {
  const isDefault = /^UTC([-+].*)?$/.test(j['name'] as string);
  return leaf(
    'timezone',
    [j['days'], j['seconds'], j['microseconds'], isDefault ? '' : j['name']].map(String).join(' '),
  );
}

/** Reads the notation. `fold` below protocol 4 is lost in the bytes, not in the fixtures' values. */
export class Notation {
  readonly #ids = new Map<number, Node>();
  /** How 8-bit strings are expected: a call that wants text is none of a built-in value's with bytes. */
  eightBit: 'latin1' | 'bytes' = 'latin1';

  read(json: unknown): Node {
    return this.#read(json as Json);
  }

  #list(kind: string, items: Json[], text?: string): Node {
    const node: Node = { kind, parts: [] };
    if (text !== undefined) node.text = text;
    this.#fill(node, () => items.map((item) => this.#read(item)));
    return node;
  }

  #fill(node: Node, parts: () => Node[]): Node {
    if (this.#pending !== undefined) {
      this.#ids.set(this.#pending, node);
      this.#pending = undefined;
    }
    node.parts = parts();
    return node;
  }

  #pending: number | undefined = undefined;

  #read(json: Json): Node {
    if (json === null || typeof json === 'boolean') return leaf('constant', json);
    if (typeof json === 'number')
      return Number.isSafeInteger(json) ? number_(json) : leaf('bigint', BigInt(json));
    if (typeof json === 'string') return leaf('text', json);
    if (Array.isArray(json)) return this.#list('list', json);
    const [[key, value]] = Object.entries(json) as [[string, Json]];
    const j = value as Members;
    switch (key) {
      case '$int':
        return leaf('bigint', value);
      case '$float':
        return float(value as string);
      case '$bytes':
        return leaf('bytes', value);
      case '$bytearray':
        return leaf('bytearray', value);
      case '$str8':
        return leaf('str8', value);
      case '$str_repeat':
        return leaf('text', (value as [string, number])[0].repeat((value as [string, number])[1]));
      case '$bytes_repeat':
        return leaf('bytes', (value as [string, number])[0].repeat((value as [string, number])[1]));
      case '$complex': {
        const [re, im] = value as [string, string];
        return leaf('complex', `${float(re).text} ${float(im).text}`);
      }
      case '$tuple':
        return this.#list('tuple', value as Json[]);
      case '$set':
      case '$frozenset':
        return sorted(this.#list(key.slice(1), value as Json[]));
      case '$dict':
        return this.#dict('dict', value as [Json, Json][]);
      case '$ordereddict':
        return this.#dict('ordereddict', value as [Json, Json][]);
      case '$id': {
        this.#pending = value as number;
        const node = this.#read(json['$value']!);
        this.#ids.set(value as number, node);
        this.#pending = undefined;
        return node;
      }
      case '$ref':
        return this.#ids.get(value as number)!;
      case '$global':
        return leaf('global', (value as string[]).join(':'));
      case '$obj':
        return this.#object(j);
      case '$call':
        return this.#list('call', [j['func']!, { $tuple: j['args']! }]);
      case '$persid':
        return this.#list('persid', [value]);
      case '$datetime':
      case '$time': {
        const tz = j['tz'] ?? null;
        const clock = [j['hour'], j['minute'], j['second'], j['microsecond'], j['fold']]
          .map(String)
          .join(' ');
        const day =
          key === '$datetime' ? `${String(j['year'])} ${String(j['month'])} ${String(j['day'])} ` : '';
        return this.#list(key.slice(1), [tz], day + clock);
      }
      case '$date':
        return leaf('date', `${String(j['year'])} ${String(j['month'])} ${String(j['day'])}`);
      case '$timedelta':
        return leaf('timedelta', [j['days'], j['seconds'], j['microseconds']].map(String).join(' '));
      case '$timezone':
        return timezone(j);
      case '$decimal':
        return leaf('decimal', value);
      case '$fraction':
        return leaf(
          'fraction',
          Array.isArray(value) ? value.map((v) => this.#read(v).text).join('/') : value,
        );
      case '$uuid':
        return leaf('uuid', value);
      default:
        throw new Error(`The notation ${key} is unknown: ${JSON.stringify(json).slice(0, 200)}`);
    }
  }

  #dict(kind: string, pairs: [Json, Json][]): Node {
    const node: Node = { kind, parts: [] };
    this.#fill(node, () => {
      // As in Python, an equal key keeps its place and gets the new value.
      const seen = new Map<string, number>();
      const parts: Node[] = [];
      for (const [k, v] of pairs) {
        const keyNode = this.#read(k);
        const valueNode = this.#read(v);
        const name = `${keyNode.kind} ${keyNode.text}`;
        const at = keyNode.parts.length === 0 ? seen.get(name) : undefined;
        if (at !== undefined) {
          parts[at + 1] = valueNode;
        } else {
          seen.set(name, parts.length);
          parts.push(keyNode, valueNode);
        }
      }
      return parts;
    });
    return node;
  }

  #object(j: Members): Node {
    const cls = j['cls'] as [string, string] | Members;
    const name = Array.isArray(cls) ? cls.join(':') : '?';
    const node: Node = { kind: 'object', parts: [] };
    this.#fill(node, () => {
      const optional = (kind: string, value: Json | undefined): Node =>
        value === undefined ? leaf('none', kind) : this.#list(kind, value as Json[]);
      return [
        Array.isArray(cls) ? leaf('global', name) : this.#read(cls),
        this.#list('tuple', j['args'] as Json[]),
        j['kwargs'] === undefined
          ? leaf('none', 'kwargs')
          : this.#dict('kwargs', j['kwargs'] as [Json, Json][]),
        optional('items', j['items']),
        j['pairs'] === undefined ? leaf('none', 'pairs') : this.#dict('pairs', j['pairs'] as [Json, Json][]),
        optional('adds', j['adds']),
        'state' in j ? this.#read(j['state']!) : leaf('none', 'state'),
      ];
    });
    node.text = j['by'] as string;
    const decimalOfBytes =
      this.eightBit === 'bytes' && name === 'decimal:Decimal' && node.parts[1]!.parts[0]?.kind === 'str8';
    const builtin = decimalOfBytes ? undefined : asBuiltin(node);
    if (builtin !== undefined) Object.assign(node, { text: undefined }, builtin);
    return node;
  }
}

function sorted(node: Node): Node {
  const key = (part: Node): string => `${part.kind} ${part.text ?? ''} ${part.parts.map(key).join(',')}`;
  node.parts.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return node;
}

const hex = (node: Node | undefined): Buffer | undefined =>
  node?.kind === 'bytes' || node?.kind === 'str8' ? Buffer.from(node.text!, 'hex') : undefined;

/** The value that a call of a built-in makes, read here once more, and differently. */
function asBuiltin(node: Node): Partial<Node> | undefined {
  const [cls, argsNode, , , pairs, , state] = node.parts as [Node, Node, Node, Node, Node, Node, Node];
  const args = argsNode.parts;
  const bytes = hex(args[0]);
  switch (cls.text) {
    case 'builtins:set':
    case '__builtin__:set':
    case 'builtins:frozenset':
    case '__builtin__:frozenset':
      return sorted({ kind: cls.text.split(':')[1]!, parts: args.length > 0 ? [...args[0]!.parts] : [] });
    case 'builtins:complex':
    case '__builtin__:complex':
      return leaf('complex', `${args[0]!.text} ${args[1]!.text}`);
    case '_codecs:encode':
      return leaf('bytes', Buffer.from(args[0]!.text!, 'latin1').toString('hex'));
    case '__builtin__:bytes':
    case 'builtins:bytes':
      return args.length === 0 ? leaf('bytes', '') : undefined;
    case 'builtins:bytearray':
    case '__builtin__:bytearray':
      if (args.length === 0) return leaf('bytearray', '');
      return leaf('bytearray', (bytes ?? Buffer.from(args[0]!.text!, 'latin1')).toString('hex'));
    case 'collections:OrderedDict': {
      const parts =
        args.length > 0
          ? args[0]!.parts.flatMap((pair) => pair.parts)
          : pairs.kind === 'none'
            ? []
            : pairs.parts;
      return { kind: 'ordereddict', parts };
    }
    case 'decimal:Decimal':
      return leaf('decimal', bytes?.toString('latin1') ?? args[0]!.text);
    case 'fractions:Fraction':
      return leaf(
        'fraction',
        args
          .map((arg) => arg.text)
          .join('/')
          .replace(/^(-?\d+)$/, '$1/1'),
      );
    case 'uuid:UUID':
    case 'copy_reg:_reconstructor': {
      if (cls.text !== 'uuid:UUID' && args[0]!.text !== 'uuid:UUID') return undefined;
      const digits = BigInt(state.parts[1]!.text!).toString(16).padStart(32, '0');
      return leaf('uuid', digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
    }
    case 'datetime:date':
      return leaf('date', `${bytes!.readUInt16BE(0)} ${bytes![2]} ${bytes![3]}`);
    case 'datetime:datetime': {
      if (bytes?.length !== 10) return undefined;
      const month = bytes[2]! & 0x7f;
      const text = [
        bytes.readUInt16BE(0),
        month,
        ...bytes.subarray(3, 7),
        bytes.readUIntBE(7, 3),
        bytes[2]! >> 7,
      ];
      return { kind: 'datetime', text: text.join(' '), parts: [args[1] ?? leaf('constant', null)] };
    }
    case 'datetime:time': {
      const text = [bytes![0]! & 0x7f, bytes![1], bytes![2], bytes!.readUIntBE(3, 3), bytes![0]! >> 7];
      return { kind: 'time', text: text.join(' '), parts: [args[1] ?? leaf('constant', null)] };
    }
    case 'datetime:timedelta':
      return leaf('timedelta', args.map((arg) => arg.text).join(' '));
    case 'datetime:timezone':
      return leaf('timezone', `${args[0]!.text} ${args[1]?.text ?? ''}`);
    default:
      return undefined;
  }
}

/** Compares decoded values with nodes: kinds, contents, and which places are the same object. */
export class Comparison {
  readonly #seen = new Map<object, Node>();
  readonly #nodes = new Map<Node, object>();
  /** Persistent ids that a hook kept. */
  readonly persistentIds = new Map<object, unknown>();
  /** Below protocol 4 there is no bit for `fold`. */
  withoutFold = false;
  /** How 8-bit strings are expected. */
  eightBit: 'latin1' | 'bytes' = 'latin1';

  /** Throws an error with the path to the first difference. */
  check(actual: unknown, node: Node, path = 'value'): void {
    const fail = (why: string): never => {
      throw new Error(`${path}: ${why} (expected ${node.kind} ${node.text ?? ''})`);
    };
    if (typeof actual === 'object' && actual !== null && !isLeaf(node)) {
      const known = this.#seen.get(actual);
      if (known !== undefined || this.#nodes.has(node)) {
        if (known !== node) fail('is another object than expected');
        return;
      }
      this.#seen.set(actual, node);
      this.#nodes.set(node, actual);
    }
    const found = this.#describe(actual, node);
    if (found.kind !== node.kind) fail(`is a ${found.kind}`);
    const wanted =
      this.withoutFold && /time$/.test(node.kind) ? node.text!.replace(/1$/, '0') : (node.text ?? '');
    if ((found.text ?? '') !== wanted) fail(`is ${found.text}`);
    if (found.parts.length !== node.parts.length)
      fail(`has ${found.parts.length} parts, not ${node.parts.length}`);
    found.parts.forEach((part, i) => this.check(part, node.parts[i]!, `${path}.${node.kind}[${i}]`));
  }

  #describe(v: unknown, node: Node): { kind: string; text?: string; parts: unknown[] } {
    const of = (
      kind: string,
      text: unknown,
      parts: unknown[] = [],
    ): { kind: string; text: string; parts: unknown[] } => ({
      kind,
      text: String(text),
      parts,
    });
    if (v === null || typeof v === 'boolean') return of('constant', v);
    if (typeof v === 'number') return of('number', Object.is(v, -0) ? '-0' : v);
    if (typeof v === 'bigint') return of('bigint', v);
    if (typeof v === 'string') {
      return node.kind === 'str8' && this.eightBit === 'latin1'
        ? of('str8', Buffer.from(v, 'latin1').toString('hex'))
        : of('text', v);
    }
    if (typeof v !== 'object') throw new Error(`a ${typeof v} was decoded`);
    if (v instanceof NoPart) return of('none', v.what);
    if (this.persistentIds.has(v)) return { kind: 'persid', parts: [this.persistentIds.get(v)] };
    if (v instanceof PartList)
      return v.kind === 'kwargs' || v.kind === 'pairs'
        ? { kind: v.kind, parts: v.items.flat(1) }
        : { kind: v.kind, parts: [...v.items] };
    if (Array.isArray(v)) return { kind: Object.isFrozen(v) ? 'tuple' : 'list', parts: v as unknown[] };
    if (v instanceof ByteArray) return of('bytearray', Buffer.from(v).toString('hex'));
    if (v instanceof Uint8Array) {
      return of(
        node.kind === 'str8' && this.eightBit === 'bytes' ? 'str8' : 'bytes',
        Buffer.from(v).toString('hex'),
      );
    }
    if (v instanceof PyDict) return { kind: 'dict', parts: [...v].flat(1) };
    if (v instanceof Map) return { kind: 'ordereddict', parts: [...v].flat(1) };
    if (v instanceof Set)
      return { kind: v instanceof FrozenSet ? 'frozenset' : 'set', parts: this.#sortLike([...v], node) };
    if (v instanceof Global) return of('global', `${v.module}:${v.name}`);
    if (v instanceof PyDateTime) {
      const f = v.fields;
      return of(
        'datetime',
        [f.year, f.month, f.day, f.hour, f.minute, f.second, f.microsecond, f.fold].join(' '),
        [f.tz],
      );
    }
    if (v instanceof Date) {
      const clock = [
        v.getUTCFullYear(),
        v.getUTCMonth() + 1,
        v.getUTCDate(),
        v.getUTCHours(),
        v.getUTCMinutes(),
      ];
      return of('datetime', [...clock, v.getUTCSeconds(), v.getUTCMilliseconds() * 1000, 0].join(' '), [
        PyTimezone.utc,
      ]);
    }
    if (v instanceof PyTime) {
      return of('time', [v.hour, v.minute, v.second, v.microsecond, v.fold].join(' '), [v.tz]);
    }
    if (v instanceof PyDate) return of('date', `${v.year} ${v.month} ${v.day}`);
    if (v instanceof PyTimeDelta) return of('timedelta', `${v.days} ${v.seconds} ${v.microseconds}`);
    if (v instanceof PyTimezone) {
      const o = v.offset;
      return of('timezone', `${o.days} ${o.seconds} ${o.microseconds} ${v.name ?? ''}`);
    }
    if (v instanceof Decimal) return of('decimal', v.text);
    if (v instanceof Fraction) return of('fraction', `${v.numerator}/${v.denominator}`);
    if (v instanceof UUID) return of('uuid', v);
    if (v instanceof Complex) {
      const text = (n: number): string => (Object.is(n, -0) ? '-0' : String(n));
      return of('complex', `${text(v.re)} ${text(v.im)}`);
    }
    if (v instanceof PyInstance) return this.#instance(v, node);
    if (Object.getPrototypeOf(v) === Object.prototype) return { kind: 'dict', parts: this.#entries(v, node) };
    throw new Error(`an unexpected ${v.constructor.name} was decoded`);
  }

  /** A plain object has integer-like keys first; the order of a dict is that of the pickle. */
  #entries(v: object, node: Node): unknown[] {
    const keys = Object.keys(v);
    if (keys.some((key) => /^\d+$/.test(key))) {
      const order = node.parts.filter((_, i) => i % 2 === 0).map((part) => part.text!);
      keys.sort((a, b) => order.indexOf(a) - order.indexOf(b));
    }
    return keys.flatMap((key) => [key, (v as Record<string, unknown>)[key]]);
  }

  #sortLike(items: unknown[], node: Node): unknown[] {
    const rest = [...items];
    return node.parts.map((part) => {
      const i = rest.findIndex((item) => {
        try {
          new Comparison().check(item, part);
          return true;
        } catch {
          return false;
        }
      });
      return i >= 0 ? rest.splice(i, 1)[0] : rest.shift();
    });
  }

  #instance(v: PyInstance, node: Node): { kind: string; text?: string; parts: unknown[] } {
    if (node.kind === 'call') return { kind: 'call', parts: [v.cls, v.args] };
    const part = (kind: string, list: readonly unknown[] | undefined): unknown =>
      list === undefined ? new NoPart(kind) : new PartList(kind, list);
    return {
      kind: 'object',
      text: v.by,
      parts: [
        v.cls,
        v.args,
        part('kwargs', v.kwargs),
        part('items', v.items),
        part('pairs', v.pairs),
        part('adds', v.adds),
        v.state === undefined ? new NoPart('state') : v.state,
      ],
    };
  }
}

class NoPart {
  constructor(readonly what: string) {}
}

class PartList {
  constructor(
    readonly kind: string,
    readonly items: readonly unknown[],
  ) {}
}

const LEAVES = new Set([
  'constant',
  'number',
  'bigint',
  'text',
  'bytes',
  'bytearray',
  'str8',
  'complex',
  'global',
  'timedelta',
  'timezone',
  'decimal',
  'fraction',
  'uuid',
  'date',
  'time',
  'datetime',
  'none',
  'persid',
]);

/** Values whose identity JavaScript doesn't have, or that carry none of interest; empty tuples are one object. */
function isLeaf(node: Node): boolean {
  return LEAVES.has(node.kind) || (node.kind === 'tuple' && node.parts.length === 0);
}
