/**
 * File storage against Python's FileStorage, with `PYTHON` and `PYTHONPATH` as for the live tests:
 *
 *     npm run bench -- file-storage             # 100,000 objects
 *     npm run bench -- file-storage 3000000     # a file of 1.2 GB
 *
 * Both work on a file that this program makes: records of about 300 bytes, each object referring to two others. What is measured once in
 * a process (opening, the first loads) is measured after the same work on a copy of the file, so that it is the storage that is timed and not
 * the compiler of the language; `load, first of a process` is without that. Packs run in processes of their own: peak is the most memory that
 * the process ever had, and how much of that came with the pack.
 */
import { spawnSync } from 'node:child_process';
import { buildSync } from 'esbuild';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { ZERO_TID, type Oid, type Tid } from '../src/ids';
import { TransactionMetaData } from '../src/storage';
import { FileStorage } from '../src/storage/file';
import { mappingRecord } from '../test/storage/file/records';

const [, , countText, task, place] = process.argv;
const count = Number(countText ?? 100_000);
const python = process.env.PYTHON ?? '/usr/bin/python3';
const ours: Record<string, number> = {};

function measure(name: string, operations: number, work: () => void): void {
  const start = performance.now();
  work();
  ours[name] = ((performance.now() - start) * 1000) / operations;
}

function record(number: number): Buffer {
  const next = [number + 1, Math.floor(number / 2)].filter((oid) => oid > 0 && oid <= count) as Oid[];
  return mappingRecord(`object ${number} `.padEnd(180, 'x'), next);
}

/** A generator of the same numbers in both languages. */
function* random(): Generator<number> {
  let state = 12345;
  for (;;) {
    state = (state * 1103515245 + 12345) % 2147483648;
    yield (state % count) + 1;
  }
}

function take(number: number): Oid[] {
  const found: Oid[] = [];
  for (const oid of random()) {
    found.push(oid as Oid);
    if (found.length === number) break;
  }
  return found;
}

const oids = take(50_000);

if (task === 'make') makeFile(place!);
else if (task === 'pack') packAlone(place!);
else compare();

/** This program again, compiled, for a task of its own; what it printed. */
function run(name: string, file: string): number[] {
  const program = `${file}.cjs`;
  buildSync({
    entryPoints: [__filename],
    bundle: true,
    platform: 'node',
    packages: 'external',
    outfile: program,
    logLevel: 'error',
  });
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, String(count), name, file], {
    encoding: 'utf8',
    env: { ...process.env, NODE_PATH: path.join(process.cwd(), 'node_modules') },
  });
  if (status !== 0) throw new Error(stderr);
  return stdout.split(' ').map(Number);
}

function open(file: string): FileStorage {
  return new FileStorage(file, { readOnly: true, blobDir: false });
}

function loadAll(storage: FileStorage): void {
  for (const oid of oids) storage.load(oid);
}

function compare(): void {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'zodb-bench-')), 'Data.fs');
  try {
    [ours['bulk store']] = run('make', file) as [number];
    for (const copy of ['python', 'warm', 'packed', 'python.packed']) {
      fs.copyFileSync(file, `${file}.${copy}`);
      fs.copyFileSync(`${file}.index`, `${file}.${copy}.index`);
    }
    const indexBytes = measureReading(file);
    measureCommits(file);
    const [packed, peak, growth] = run('pack', `${file}.packed`) as [number, number, number];
    ours['pack'] = packed / count;
    const theirs = runPython(`${file}.python`);
    report(theirs);
    console.log(
      `${count} objects, file ${round(fs.statSync(`${file}.python`).size / 1e6)} MB; index ${round(indexBytes)} bytes an object; pack: peak ${round(peak)} MB, ${round(growth)} of them for the pack` +
        (theirs === undefined
          ? ''
          : ` (Python ${round(theirs['peak']! / 1000)} and ${round(theirs['growth']! / 1000)} MB)`),
    );
  } finally {
    fs.rmSync(path.dirname(file), { recursive: true });
  }
}

/** Bytes that the index takes, an object. */
function measureReading(file: string): number {
  const before = memory();
  const warm = open(`${file}.warm`);
  const indexBytes = (memory() - before) / count;
  measure('load, first of a process', oids.length, () => loadAll(warm));
  loadAll(warm);
  warm.close();
  for (let round = 0; round < 20; round++) open(`${file}.warm`).close();

  let storage!: FileStorage;
  measure('open with index', 1, () => (storage = open(file)));
  measure('load cold', oids.length, () => loadAll(storage));
  measure('load hot', oids.length, () => loadAll(storage));
  measure('iterate', count, () => {
    let bytes = 0;
    for (const transaction of storage.iterate())
      for (const each of transaction.records()) bytes += each.data!.length;
    if (bytes === 0) throw new Error('nothing was read');
  });
  storage.close();

  fs.renameSync(`${file}.index`, `${file}.index.aside`);
  measure('open without index', 1, () => open(file).close());
  fs.renameSync(`${file}.index.aside`, `${file}.index`);
  return indexBytes;
}

function memory(): number {
  for (let round = 0; round < 3; round++) globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function measureCommits(file: string): void {
  for (const durability of ['full', 'normal'] as const) {
    const storage = new FileStorage(file, { blobDir: false, durability });
    const revisions = oids
      .slice(0, 1000)
      .map((oid) => ({ oid, serial: storage.load(oid).serial, data: record(oid) }));
    measure(`commit (${durability})`, 1000, () => {
      const serials = new Map<Oid, Tid>();
      for (const { oid, serial, data } of revisions) {
        const txn = new TransactionMetaData({ description: 'one' });
        storage.tpcBegin(txn);
        storage.store(oid, serials.get(oid) ?? serial, data, txn);
        storage.tpcVote(txn);
        serials.set(oid, storage.tpcFinish(txn));
      }
    });
    storage.close();
  }
}

/** Prints microseconds, the peak of memory and its growth in MB. */
function packAlone(file: string): void {
  const storage = new FileStorage(file, { blobDir: false });
  const before = process.memoryUsage.rss();
  const start = performance.now();
  // Not `resourceUsage().maxRSS`: a process begins with that of its parent.
  let peak = before;
  const steps = storage.pack();
  for (let step = steps.next(); !step.done; step = steps.next())
    peak = Math.max(peak, process.memoryUsage.rss());
  const time = (performance.now() - start) * 1000;
  storage.close();
  process.stdout.write(`${time} ${peak / 1e6} ${Math.max(0, peak - before) / 1e6}`);
}

function report(theirs: Record<string, number> | undefined): void {
  const rows = Object.entries(ours).map(([name, mine]) => {
    const other = theirs?.[name.replace(/ \(.*\)|, first of a process/, '').replace(/^load$/, 'load cold')];
    return {
      work: name,
      'ours, µs': round(mine),
      'Python, µs': other && round(other),
      ratio: other && round(other / mine),
    };
  });
  console.table(rows);
  console.log('Python waits for the disk once a commit: its guarantee is that of "normal".');
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}

function runPython(file: string): Record<string, number> | undefined {
  const { status, stdout, stderr } = spawnSync(
    python,
    [path.join(process.env.BENCH_DIR ?? __dirname, 'file-storage.py'), file, String(count)],
    { encoding: 'utf8' },
  );
  if (status === 0) return JSON.parse(stdout) as Record<string, number>;
  console.log(`Without Python: ${stderr.trim().split('\n').at(-1)}`);
  return undefined;
}

function makeFile(file: string): void {
  const root = mappingRecord('root', [1 as Oid]);
  const records = Array.from({ length: count + 1 }, (_, number) => (number === 0 ? root : record(number)));
  measure('bulk store', count, () => {
    const storage = new FileStorage(file, { blobDir: false });
    for (let from = 0; from <= count; from += 10_000) {
      const txn = new TransactionMetaData({ description: 'bulk' });
      storage.tpcBegin(txn);
      for (let oid = from; oid < from + 10_000 && oid <= count; oid++) {
        storage.store(oid as Oid, ZERO_TID, records[oid]!, txn);
      }
      storage.tpcVote(txn);
      storage.tpcFinish(txn);
    }
    storage.close();
  });
  process.stdout.write(String(ours['bulk store']));
}
