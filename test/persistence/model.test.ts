/**
 * A graph of persistent objects against the same graph of plain objects, under everything a program can do to them. The plain graph is kept as one text a node, so that comparing,
 * aborting and merging are trivial; what is tested is that the persistent one always agrees with it, or says that it does not.
 */
import * as fc from 'fast-check';
import {
  ConflictError,
  DB,
  deactivate,
  persistent,
  StaleValueError,
  statusOf,
  TransactionManager,
} from 'zodb';
import { MapJar, Records } from './map-jar';
import { atItsVote } from './at-its-vote';

const SCALE = Number(process.env['ZODB_SOAK'] ?? 0);

type Plain = { n?: number; inner?: unknown[]; node?: unknown };

@persistent('model.Node')
class Node {
  num = 0;
  text = '';
  ref: Node | null = null;
  list: unknown[] = [];
  obj: Plain = {};
  map = new Map<unknown, unknown>();
  set = new Set<unknown>();
  date = new Date(0);
  bytes = new Uint8Array(4);
  [extra: `x${number}`]: number;

  constructor(public id: number) {}
}

const FIELDS = ['num', 'text', 'ref', 'list', 'obj', 'map', 'set', 'date', 'bytes', 'x1', 'x2'] as const;

/** One value as text: contents, kinds, order, aliases within the node, nodes by their id. */
function encode(value: unknown, seen: Map<object, number>): unknown {
  if (typeof value !== 'object' || value === null) return value === undefined ? { $undefined: 1 } : value;
  if ('id' in value) return { $node: (value as { id: number }).id };
  const known = seen.get(value);
  if (known !== undefined) return { $same: known };
  seen.set(value, seen.size);
  const inside = (item: unknown): unknown => encode(item, seen);
  if (Array.isArray(value)) return { $list: value.map(inside) };
  if (value instanceof Map) return { $map: [...value].map(([k, v]) => [inside(k), inside(v)]) };
  if (value instanceof Set) return { $set: [...value].map(inside) };
  if (value instanceof Date) return { $date: value.getTime() };
  if (ArrayBuffer.isView(value)) return { $bytes: [...(value as Uint8Array)] };
  return { $obj: Object.entries(value).map(([k, v]) => [k, inside(v)]) };
}

function textOf(node: object): string {
  const fields: Record<string, unknown> = {};
  const seen = new Map<object, number>();
  for (const name of FIELDS) {
    if (Object.hasOwn(node, name)) fields[name] = encode((node as Record<string, unknown>)[name], seen);
  }
  return JSON.stringify(fields);
}

/** A plain twin of a node. */
type Twin = { id: number } & Record<string, unknown>;
type Texts = Map<number, string>;

function decode(value: unknown, twins: Map<number, Twin>, made: object[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const [[kind, content]] = Object.entries(value) as [[string, never]];
  if (kind === '$undefined') return undefined;
  if (kind === '$node') return twins.get(content);
  if (kind === '$same') return made[content];
  const noted = <T extends object>(object: T): T => {
    made.push(object);
    return object;
  };
  const inside = (item: unknown): unknown => decode(item, twins, made);
  if (kind === '$date') return noted(new Date(content));
  if (kind === '$bytes') return noted(Uint8Array.from(content));
  if (kind === '$list') {
    const list = noted<unknown[]>([]);
    for (const item of content as unknown[]) list.push(inside(item));
    return list;
  }
  if (kind === '$map') {
    const map = noted(new Map<unknown, unknown>());
    for (const [k, v] of content as unknown[][]) map.set(inside(k), inside(v));
    return map;
  }
  if (kind === '$set') {
    const set = noted(new Set<unknown>());
    for (const item of content as unknown[]) set.add(inside(item));
    return set;
  }
  const object = noted<Record<string, unknown>>({});
  for (const [k, v] of content as [string, unknown][]) object[k] = inside(v);
  return object;
}

function revive(texts: Texts): Map<number, Twin> {
  const twins = new Map<number, Twin>();
  for (const id of texts.keys()) twins.set(id, { id });
  for (const [id, text] of texts) {
    const made: object[] = [];
    for (const [name, value] of Object.entries(JSON.parse(text) as Record<string, unknown>)) {
      twins.get(id)![name] = decode(value, twins, made);
    }
  }
  return twins;
}

function textsOf(nodes: Iterable<{ id: number }>): Texts {
  const texts: Texts = new Map();
  for (const node of nodes) texts.set(node.id, textOf(node));
  return texts;
}

/** Everything a root leads to. */
function reachable<T extends { id: number }>(root: T): T[] {
  const seen = new Set<object>([root]);
  const stack: unknown[] = [root];
  const nodes: T[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    stack.push(value);
  };
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const value = at as object;
    if ('id' in value) {
      nodes.push(value as T);
      for (const name of FIELDS)
        if (Object.hasOwn(value, name)) visit((value as Record<string, unknown>)[name]);
    } else if (value instanceof Map) value.forEach((v, k) => (visit(k), visit(v)));
    else if (value instanceof Set) value.forEach(visit);
    else if (Array.isArray(value)) value.forEach(visit);
    else Object.values(value).forEach(visit);
  }
  return nodes;
}

interface Handle {
  real: object;
  node: Node;
  field: (typeof CONTAINERS)[number];
  plain: object;
  /** The model's state that the plain value belongs to. */
  era: number;
}

/** Applies one change inside a plain value, the same to both. */
function mutate(value: object, how: number, n: number, node: unknown): void {
  if (Array.isArray(value)) {
    const list = value as unknown[];
    if (how % 5 === 0) list.push(n);
    else if (how % 5 === 1) list.pop();
    else if (how % 5 === 2) list.push([n, { n }]);
    else if (how % 5 === 3) list.push(node);
    else if (Array.isArray(list.at(-1))) (list.at(-1) as unknown[]).push(n);
    else list.unshift({ n, inner: [n] });
  } else if (value instanceof Map) {
    if (how % 3 === 0) value.set(n % 4, { n });
    else if (how % 3 === 1) value.delete(n % 4);
    else value.set(node, [n]);
  } else if (value instanceof Set) {
    if (how % 3 === 0) value.add(n);
    else if (how % 3 === 1) value.clear();
    else value.add(node);
  } else if (value instanceof Date) value.setTime(n * 1000);
  else if (ArrayBuffer.isView(value)) (value as Uint8Array)[n % 4] = n;
  else {
    const plain = value as Plain;
    if (how % 4 === 0) plain.n = n;
    else if (how % 4 === 1) (plain.inner ??= []).push(n);
    else if (how % 4 === 2) plain.node = node;
    else delete plain.n;
  }
}

const CONTAINERS = ['list', 'obj', 'map', 'set', 'date'] as const;

/** What the commands need of a connection. */
interface Session {
  readonly cache: { minimize(): void; shrink(inTransaction?: boolean): void };
  root(): Node;
  /** `meanwhile` runs when everything is written and nothing is finished. */
  commit(meanwhile?: () => void): void;
  abort(): void;
  savepoint(): { rollback(): void };
  end(): void;
}

/** Where sessions come from: a jar over a map of records, or a database. */
interface Place {
  open(cacheSize: number): Session;
  end(): void;
}

function overRecords(): Place {
  const records = new Records();
  return {
    open(cacheSize) {
      const jar = new MapJar(records, { targetCount: cacheSize });
      return {
        cache: jar.cache,
        root: () => jar.root(() => new Node(0)),
        commit: (meanwhile) => void jar.commit(meanwhile),
        abort: () => {
          jar.abort();
        },
        savepoint() {
          const savepoint = jar.savepoint();
          return { rollback: () => jar.rollback(savepoint) };
        },
        end: () => undefined,
      };
    },
    end: () => undefined,
  };
}

function overDatabase(path?: string): Place {
  const db = new DB(path ?? null, { cacheSize: 1 });
  db.transaction((root: Record<string, unknown>) => void (root['node'] = new Node(0)));
  return {
    open(cacheSize) {
      const manager = new TransactionManager();
      const conn = db.open({ transactionManager: manager });
      const { cache } = conn as unknown as { cache: Session['cache'] & { targetCount: number } };
      cache.targetCount = cacheSize;
      return {
        cache: { minimize: () => conn.cacheMinimize(), shrink: () => conn.cacheGC() },
        root: () => (conn.root as unknown as { node: Node }).node,
        commit(meanwhile) {
          if (meanwhile !== undefined) manager.get().join(atItsVote(meanwhile));
          try {
            manager.commit();
          } catch (error) {
            manager.abort();
            throw error;
          }
        },
        abort: () => manager.abort(),
        savepoint: () => manager.savepoint(),
        end() {
          manager.abort();
          conn.close();
        },
      };
    },
    end: () => db.close(),
  };
}

class World {
  readonly place: Place;
  jar: Session;
  root: Node;
  twins: Map<number, Twin>;
  /** What the snapshot shows, then what is committed. */
  snapshot: Texts;
  committed: Texts;
  /** Nodes the program did something to, since the last boundary; nodes that others committed since. */
  touched = new Set<number>();
  foreign = new Set<number>();
  handles: Handle[] = [];
  /** Values that the program itself took out of their fields. */
  freed = new Set<object>();
  era = 0;
  nextId = 1;
  savepoints: { real: { rollback(): void }; texts: Texts; touched: Set<number> }[] = [];
  log: string[] = [];

  constructor(
    readonly cacheSize: number,
    place: Place,
  ) {
    this.place = place;
    this.jar = place.open(cacheSize);
    this.root = this.jar.root();
    this.committed = this.snapshot = textsOf([this.root]);
    this.twins = revive(this.snapshot);
  }

  /** A pair of corresponding nodes. */
  pick(n: number): { real: Node; twin: Twin } {
    const all = reachable(this.root).sort((a, b) => a.id - b.id);
    const real = all[n % all.length]!;
    return { real, twin: this.twinOf(real.id) };
  }

  twinOf(id: number): Twin {
    const twin = this.twins.get(id);
    if (twin === undefined) throw new Error(`no twin of ${id}`);
    return twin;
  }

  check(): void {
    const real = reachable(this.root).sort((a, b) => a.id - b.id);
    const plain = reachable(this.twins.get(0)!).sort((a, b) => a.id - b.id);
    expect(Object.fromEntries(textsOf(real))).toEqual(Object.fromEntries(textsOf(plain)));
  }

  reset(texts: Texts): void {
    this.twins = revive(texts);
    this.era += 1;
    this.savepoints = [];
    this.touched.clear();
    this.foreign.clear();
  }

  commit(meanwhile?: () => void): void {
    const working = textsOf(reachable(this.twins.get(0)!));
    const must = [...this.foreign].some((id) => working.has(id) && working.get(id) !== this.snapshot.get(id));
    const may = [...this.foreign].some((id) => this.touched.has(id));
    let conflicted = false;
    try {
      this.jar.commit(
        meanwhile &&
          (() => {
            this.touched = new Set();
            meanwhile();
          }),
      );
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      conflicted = true;
    }
    if (must && !conflicted) throw new Error('a lost update: two changed one node, and both were committed');
    if (conflicted && !may) throw new Error('a conflict about a node that this side never touched');
    if (!conflicted) {
      const merged = new Map(this.committed);
      for (const [id, text] of working) if (text !== this.snapshot.get(id)) merged.set(id, text);
      this.committed = merged;
    }
    const others = this.foreign.size > 0;
    this.snapshot = this.committed;
    if (conflicted || others) this.reset(this.snapshot);
    else {
      this.savepoints = [];
      if (meanwhile === undefined) this.touched.clear();
    }
  }

  abort(): void {
    this.jar.abort();
    this.snapshot = this.committed;
    this.reset(this.snapshot);
  }

  /** Somebody else changes a committed node. */
  other(n: number, how: number): void {
    const other = this.place.open(10_000);
    const root = other.root();
    const all = reachable(root).sort((a, b) => a.id - b.id);
    const node = all[n % all.length]!;
    if (how % 3 === 0) node.num = n + 1000;
    else if (how % 3 === 1) node.list.push(n);
    else node[`x${1 + (n % 2)}` as 'x1'] = n;
    other.commit();
    const changed = textOf(node);
    other.end();
    const texts = new Map(this.committed);
    texts.set(node.id, changed);
    this.committed = texts;
    this.foreign.add(node.id);
  }

  reopen(): void {
    this.commit();
    this.jar.end();
    this.jar = this.place.open(this.cacheSize);
    this.root = this.jar.root();
    this.handles = [];
  }
}

/** Where a value stands now: at a field, or at the one place inside another value that the commands put it. */
function placeOf(handle: Handle, world: World): { node: Node; of: (twin: Twin) => object } | undefined {
  for (const node of [...reachable(world.root), handle.node]) {
    if (node[handle.field] === handle.real) return { node, of: (twin) => twin[handle.field] as object };
    if (node.obj.inner === handle.real)
      return { node, of: (twin) => (twin['obj'] as { inner: object }).inner };
  }
  return undefined;
}

/** What may be done while a commit is under way: whatever changes something. */
const DURING = [0, 1, 2, 3, 4, 8, 10, 11];

type Command = [kind: number, a: number, b: number, c: number];

function run(world: World, [kind, a, b, c]: Command): void {
  const { jar } = world;
  switch (kind) {
    case 0: {
      const { real, twin } = world.pick(a);
      world.touched.add(real.id);
      if (b % 3 === 0) real.num = twin['num'] = c;
      else if (b % 3 === 1) real.text = twin['text'] = `t${c}`;
      else real.num = twin['num'] = c + 0.5;
      return;
    }
    case 1: {
      const from = world.pick(a);
      const to = world.pick(b);
      world.touched.add(from.real.id);
      from.real.ref = to.real;
      from.twin['ref'] = to.twin;
      return;
    }
    case 2: {
      const { real, twin } = world.pick(a);
      const id = world.nextId++;
      const fresh = new Node(id);
      const twinOfFresh = revive(new Map([[id, textOf(fresh)]])).get(id)!;
      world.twins.set(id, twinOfFresh);
      world.touched.add(real.id).add(id);
      if (b % 2 === 0) {
        real.list.push(fresh);
        (twin['list'] as unknown[]).push(twinOfFresh);
      } else {
        real.ref = fresh;
        twin['ref'] = twinOfFresh;
      }
      return;
    }
    case 3:
    case 4: {
      const { real, twin } = world.pick(a);
      const field = CONTAINERS[b % CONTAINERS.length]!;
      const target = world.pick(c);
      world.touched.add(real.id);
      mutate(real[field], c, c, target.real);
      mutate(twin[field] as object, c, c, target.twin);
      return;
    }
    case 5: {
      const { real, twin } = world.pick(a);
      const field = CONTAINERS[b % CONTAINERS.length]!;
      world.handles.push({
        real: real[field],
        node: real,
        field,
        plain: twin[field] as object,
        era: world.era,
      });
      world.touched.add(real.id);
      return;
    }
    case 6:
    case 7: {
      const handle = world.handles[a % Math.max(world.handles.length, 1)];
      if (handle === undefined) return;
      // Adding inside of an object that was taken out of its field reaches what it shares with a field.
      const shared = b % 2 === 1 ? (handle.real as Plain).inner : undefined;
      try {
        mutate(handle.real, b % 2, c, null);
      } catch (error) {
        if (error instanceof StaleValueError || error instanceof TypeError) return;
        throw error;
      }
      const place =
        placeOf(handle, world) ?? (shared && placeOf({ ...handle, real: shared, field: 'list' }, world));
      world.touched.add((place?.node ?? handle.node).id);
      if (handle.era === world.era) {
        mutate(handle.plain, b % 2, c, null);
        return;
      }
      // Popping from an empty array and the like changes nothing, and need not fail.
      const free = world.freed.has(handle.real) || statusOf(handle.node) === 'unsaved';
      if (place === undefined && !free && b % 2 === 0) {
        throw new Error('a value of a dropped state took a change without a word');
      }
      // Of a node that nothing leads to any more, the model knows nothing.
      if (place === undefined || !reachable(world.root).includes(place.node)) return;
      const target = place.of(world.twinOf(place.node.id));
      mutate(target, Array.isArray(target) && shared ? 0 : b % 2, c, null);
      return;
    }
    case 8: {
      const { real, twin } = world.pick(a);
      const field = CONTAINERS[b % 4]!;
      const fresh: Record<string, () => object> = {
        list: () => [c, [c]],
        obj: () => ({ n: c, inner: [c] }),
        map: () => new Map([[1, { n: c }]]),
        set: () => new Set([c]),
      };
      world.touched.add(real.id);
      world.freed.add(real[field]);
      (real as unknown as Record<string, unknown>)[field] = fresh[field]!();
      twin[field] = fresh[field]!();
      return;
    }
    case 9: {
      const from = world.pick(a);
      const to = world.pick(b);
      if (from.real === to.real) return;
      world.touched.add(from.real.id).add(to.real.id);
      world.freed.add(to.real.list).add(from.real.list);
      // Within one object a value may stand twice; under two objects it would become two.
      world.freed.add(from.real.obj);
      from.real.obj = {};
      from.twin['obj'] = {};
      to.real.list = from.real.list;
      from.real.list = [];
      to.twin['list'] = from.twin['list'];
      from.twin['list'] = [];
      return;
    }
    case 10: {
      const { real, twin } = world.pick(a);
      const name = `x${1 + (b % 2)}` as 'x1';
      world.touched.add(real.id);
      real[name] = c;
      twin[name] = c;
      return;
    }
    case 11: {
      const { real, twin } = world.pick(a);
      world.touched.add(real.id);
      real.bytes[b % 4] = c % 256;
      (twin['bytes'] as Uint8Array)[b % 4] = c % 256;
      return;
    }
    case 12:
    case 13:
      world.commit();
      return;
    case 14:
      world.abort();
      return;
    case 15:
      jar.cache.minimize();
      return;
    case 16:
      deactivate(world.pick(a).real);
      return;
    case 17:
      world.other(a, b);
      return;
    case 18: {
      world.savepoints.push({
        real: jar.savepoint(),
        texts: textsOf(reachable(world.twins.get(0)!)),
        touched: new Set(world.touched),
      });
      return;
    }
    case 19: {
      if (world.savepoints.length === 0) return;
      const at = a % world.savepoints.length;
      const { real, texts, touched } = world.savepoints[at]!;
      real.rollback();
      world.savepoints = world.savepoints.slice(0, at + 1);
      world.twins = revive(texts);
      world.era += 1;
      for (const id of touched) world.touched.add(id);
      return;
    }
    case 20: {
      const { real, twin } = world.pick(a);
      world.touched.add(real.id);
      if (real.obj.inner) world.freed.add(real.obj.inner);
      real.obj.inner = real.list;
      (twin['obj'] as Plain).inner = twin['list'] as unknown[];
      return;
    }
    case 21:
      world.reopen();
      return;
    case 22:
      jar.cache.shrink(true);
      return;
    case 23: {
      // What is changed while a commit is under way is the next one's. (With others' changes, the model would have to replay it.)
      if (world.foreign.size > 0) return;
      run(world, [0, a, 0, c]);
      world.commit(() => {
        for (const step of [a, b, c]) run(world, [DURING[step % DURING.length]!, step, a + b, c]);
      });
      return;
    }
    default:
      world.check();
  }
}

const number = fc.nat(50);
const command = fc.tuple(fc.nat(26), number, number, number);
const runs = SCALE > 0 ? Math.ceil(1000 * SCALE) : 60;

describe('a graph of persistent objects behaves like plain objects', () => {
  const places: [string, () => Place, number, number][] = [
    ['a cache of 0', overRecords, 0, 1],
    ['a cache of 3', overRecords, 3, 1],
    ['a cache of 10,000', overRecords, 10_000, 1],
    ['a database and a cache of 2', overDatabase, 2, 0.3],
    ['a database', overDatabase, 10_000, 0.3],
  ];
  test.each(places)(
    'with %s',
    (_name, makePlace, cacheSize, share) => {
      let steps = 0;
      fc.assert(
        fc.property(fc.array(command, { minLength: 1, maxLength: 120, size: 'max' }), (commands) => {
          const place = makePlace();
          const world = new World(cacheSize, place);
          for (const step of commands) {
            run(world, step);
            steps += 1;
          }
          world.check();
          world.commit();
          world.check();
          world.reopen();
          world.check();
          world.jar.end();
          place.end();
        }),
        { numRuns: Math.ceil(runs * share) },
      );
      expect(steps).toBeGreaterThan(runs * share);
    },
    3_600_000,
  );
});
