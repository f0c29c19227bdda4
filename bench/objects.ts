/**
 * Persistent objects against plain ones: ns an operation, and the ratio, in one run. Four classes take part in each measurement, so that nothing rests on a call site that sees one class only.
 */
import Database from 'better-sqlite3';
import Table from 'cli-table3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Oid, Tid } from '../src/ids';
import { createCache, type Jar, type LoadedRecord, persistent, registry } from '../src/persistence/index';

const CLASSES = 4;
const COUNT = 2000;

type Any6 = { a: number; b: number; c: string; d: number; e: null; f: boolean; sum(): number };

function plainClass(): new () => Any6 {
  return class {
    a = 1;
    b = 2;
    c = 'three';
    d = 4.5;
    e = null;
    f = true;
    sum(): number {
      return this.a + this.b;
    }
  };
}

function class25(): new () => Record<string, number> {
  const fields = Array.from({ length: 25 }, (_, i) => `f${i} = ${i};`).join(' ');
  return new Function(`return class { ${fields} }`)() as new () => Record<string, number>;
}

/** Records in a Map. */
class Memory implements Jar {
  readonly registry = registry;
  readonly databaseName = 'bench';
  readonly records = new Map<Oid, LoadedRecord>();
  readonly cache = createCache(this, { targetCount: 10_000_000 });
  #next = 1;

  load(oid: Oid): LoadedRecord {
    return this.records.get(oid)!;
  }

  loadMany(oids: readonly Oid[]): LoadedRecord[] {
    return oids.map((oid) => this.records.get(oid)!);
  }

  newOid(): Oid {
    return this.#next++ as Oid;
  }

  objectChanged(): void {}
  readCurrent(): void {}
  warn(): void {}

  sibling(): never {
    throw new Error('there is no other');
  }

  commit(): void {
    this.cache.flushExposed();
    for (const { oid, data } of this.cache.serializeChanged())
      this.records.set(oid, { data, serial: 1n as Tid });
    this.cache.afterCommit(1n as Tid);
    this.cache.boundary();
  }

  /** Another cache on the same records. */
  fresh(): Memory {
    const other = new Memory();
    for (const [oid, record] of this.records) other.records.set(oid, record);
    return other;
  }
}

/** The best of some rounds, in ns an operation; `work` says how many it did. */
function time(work: () => number, rounds = 7): number {
  work();
  work();
  let best = Infinity;
  for (let i = 0; i < rounds; i++) {
    const start = process.hrtime.bigint();
    const count = work();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count);
  }
  return best;
}

const table = new Table({
  head: ['work', 'persistent ns', 'plain ns', 'ratio', 'aim'],
  colAligns: ['left', 'right', 'right', 'right', 'right'],
});

function row(work: string, ours: number, plain?: number, aim = ''): void {
  table.push([work, ours.toFixed(1), plain?.toFixed(1) ?? '', plain ? (ours / plain).toFixed(2) : '', aim]);
}

const plains = Array.from({ length: CLASSES }, plainClass);
const tracked = Array.from({ length: CLASSES }, (_, i) => {
  const made = plainClass();
  persistent(`bench.objects.Six${i}`)(made);
  return made;
});

/** One function a class and kind, so that each has caches of its own, as code about one class has. */
function loops(tag: string): ((objects: Any6[]) => number)[][] {
  return Array.from({ length: CLASSES }, (_, i) => [
    new Function(
      'o',
      `let s = 0; for (let k = 0; k < 20; k++) for (let i = 0; i < o.length; i++) s += o[i].a; return 20 * o.length + (s < 0 ? 1 : 0) // ${tag}${i}`,
    ) as (objects: Any6[]) => number,
    new Function(
      'o',
      `for (let k = 0; k < 20; k++) for (let i = 0; i < o.length; i++) o[i].b = k; return 20 * o.length // ${tag}${i}`,
    ) as (objects: Any6[]) => number,
    new Function(
      'o',
      `let s = 0; for (let k = 0; k < 20; k++) for (let i = 0; i < o.length; i++) s += o[i].sum(); return 20 * o.length + (s < 0 ? 1 : 0) // ${tag}${i}`,
    ) as (objects: Any6[]) => number,
  ]);
}

const memory = new Memory();
for (const Class of tracked) for (let i = 0; i < COUNT; i++) memory.cache.add(new Class());
memory.commit();
const reader = memory.fresh();
const loaded = reader.cache.getMany([...reader.records.keys()]) as Any6[];
const oursBy = tracked.map((Class) => loaded.filter((object) => object instanceof Class));
const plainBy = plains.map((Class) => Array.from({ length: COUNT }, () => new Class()));
const ourLoops = loops('ours');
const plainLoops = loops('plain');
['read a field', 'write a field', 'call a method that reads two'].forEach((name, kind) => {
  const run = (by: Any6[][], set: ((objects: Any6[]) => number)[][]) =>
    time(() => by.reduce((sum, objects, i) => sum + set[i]![kind]!(objects), 0));
  row(name, run(oursBy, ourLoops), run(plainBy, plainLoops), ['3.5', '8', '8'][kind]);
});

const hot: unknown[] = new Array(COUNT);
const make = (classes: (new () => Any6)[]): number =>
  time(() => {
    for (const Class of classes) for (let i = 0; i < COUNT; i++) hot[i] = new Class();
    return CLASSES * COUNT;
  });
row('new, 6 fields by definition', make(tracked), make(plains), '+600 ns');

function assigning(): new () => Any6 {
  return new Function(
    'return class { constructor() { this.a = 1; this.b = 2; this.c = "x"; this.d = 4.5; this.e = null; this.f = true } }',
  )() as new () => Any6;
}
const assignedPlain = Array.from({ length: CLASSES }, assigning);
const assignedOurs = Array.from({ length: CLASSES }, (_, i) => {
  const made = assigning();
  persistent(`bench.objects.Assigned${i}`)(made);
  return made;
});
row('new, 6 fields by assignment', make(assignedOurs), make(assignedPlain), '+600 ns');

row(
  'adopt and save 6 fields',
  time(() => {
    const jar = new Memory();
    for (let i = 0; i < COUNT; i++) jar.cache.add(new tracked[i % CLASSES]!());
    jar.commit();
    return COUNT;
  }),
);
row(
  'load 6 fields',
  time(() => {
    const jar = memory.fresh();
    for (const oid of jar.records.keys()) jar.cache.get(oid);
    return jar.records.size;
  }),
);

const Wide = class25();
persistent('bench.objects.Wide')(Wide);
const wide = new Memory();
for (let i = 0; i < COUNT; i++) wide.cache.add(new Wide());
wide.commit();
row(
  'load 25 fields',
  time(() => {
    const jar = wide.fresh();
    for (const oid of jar.records.keys()) jar.cache.get(oid);
    return COUNT;
  }),
);

@persistent('bench.objects.Exposed')
class Exposed {
  tags = ['a', 'b', 'c'];
  info = { street: 'Main Street', at: [1, 2] };
  when = new Date(5);
}
const exposedJar = new Memory();
for (let i = 0; i < 1000; i++) exposedJar.cache.add(new Exposed());
exposedJar.commit();
let exposedReader = exposedJar;
let firstRead = Infinity;
for (let round = 0; round < 9; round++) {
  exposedReader = exposedJar.fresh();
  const exposed = exposedReader.cache.getMany([...exposedReader.records.keys()]) as Exposed[];
  const start = process.hrtime.bigint();
  for (const object of exposed) void [object.tags, object.info, object.when];
  firstRead = Math.min(firstRead, Number(process.hrtime.bigint() - start) / exposed.length);
}
row('first read of three values', firstRead);
row(
  'compare an exposed object (three values)',
  time(() => {
    exposedReader.cache.flushExposed();
    return 1000;
  }),
);

/** Bytes of heap for each of `count` objects. */
function bytes(count: number, build: () => unknown): number {
  global.gc?.();
  const before = process.memoryUsage().heapUsed;
  const kept = build();
  global.gc?.();
  const used = process.memoryUsage().heapUsed - before;
  return kept === undefined ? 0 : used / count;
}

if (global.gc) {
  const six = memory.fresh();
  const shells = memory.fresh();
  table.push([
    'bytes a loaded object, 6 fields',
    bytes(six.records.size, () => six.cache.getMany([...six.records.keys()])).toFixed(0),
    bytes(8000, () => Array.from({ length: 8000 }, (_, i) => new plains[i % CLASSES]!())).toFixed(0),
    '',
    '300',
  ]);
  table.push([
    'bytes an evicted shell that is held',
    bytes(shells.records.size, () => {
      const objects = shells.cache.getMany([...shells.records.keys()]);
      shells.cache.minimize();
      return objects;
    }).toFixed(0),
    '',
    '',
    '',
  ]);
}

const directory = mkdtempSync(join(tmpdir(), 'zodb-bench-'));
const raw = new Database(join(directory, 'bare.sqlite'));
raw.pragma('journal_mode = WAL');
raw.exec('CREATE TABLE object (oid INTEGER PRIMARY KEY, state BLOB)');
const put = raw.prepare('INSERT INTO object VALUES (?, ?)');
raw.transaction(() => {
  for (const [oid, { data }] of memory.records) put.run(oid, data);
})();
const get = raw.prepare<[number], { state: Buffer }>('SELECT state FROM object WHERE oid = ?').raw();
const text = JSON.stringify(new plains[0]!());

class SqliteJar extends Memory {
  override load(oid: Oid): LoadedRecord {
    const [data] = get.get(oid) as unknown as [Buffer];
    return { data, serial: 1n as Tid };
  }
}

raw.exec('BEGIN');
const bare = time(() => {
  for (const oid of memory.records.keys()) {
    hot[1] = get.get(oid);
    hot[0] = JSON.parse(text);
  }
  return memory.records.size;
});
row(
  'cold load from SQLite, 6 fields (plain: get of these bytes, and JSON.parse)',
  time(() => {
    const jar = new SqliteJar();
    for (const oid of memory.records.keys()) jar.cache.get(oid);
    return memory.records.size;
  }),
  bare,
  '2',
);
raw.exec('COMMIT');
raw.close();
rmSync(directory, { recursive: true });

console.log(table.toString());
