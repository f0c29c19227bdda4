/**
 * File storage against Python's FileStorage: `node out.js [objects]`, with `PYTHON` and `PYTHONPATH` as for the live tests. Both work on
 * a file that this program makes: records of about 300 bytes, each object referring to two others.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { ZERO_TID, type Oid, type Tid } from '../src/ids';
import { TransactionMetaData } from '../src/storage';
import { FileStorage } from '../src/storage/file';
import { mappingRecord } from '../test/storage/file/records';

const count = Number(process.argv[2] ?? 100_000);
/** The file is made in a process of its own, so that its memory is none of the pack's. */
const isMaker = process.argv[3] !== undefined;
const file = process.argv[3] ?? path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'zodb-bench-')), 'Data.fs');
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

if (isMaker) {
  makeFile();
  process.exit();
}
const { stdout } = spawnSync(process.execPath, [...process.execArgv, __filename, String(count), file], {
  encoding: 'utf8',
});
ours['bulk store'] = Number(stdout);
fs.copyFileSync(file, `${file}.python`);

let storage!: FileStorage;
for (let round = 0; round < 3; round++) globalThis.gc?.();
const before = process.memoryUsage();
measure('open with index', 1, () => (storage = new FileStorage(file, { readOnly: true, blobDir: false })));
for (let round = 0; round < 3; round++) globalThis.gc?.();
const after = process.memoryUsage();
const indexBytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;

const oids = take(50_000);
measure('load cold', oids.length, () => {
  for (const oid of oids) storage.load(oid);
});
measure('load hot', oids.length, () => {
  for (const oid of oids) storage.load(oid);
});
measure('iterate', count, () => {
  let bytes = 0;
  for (const transaction of storage.iterate())
    for (const each of transaction.records()) bytes += each.data!.length;
  if (bytes === 0) throw new Error('nothing was read');
});
storage.close();

fs.renameSync(`${file}.index`, `${file}.index.aside`);
measure('open without index', 1, () => (storage = new FileStorage(file, { readOnly: true, blobDir: false })));
storage.close();
fs.renameSync(`${file}.index.aside`, `${file}.index`);

storage = new FileStorage(file, { blobDir: false });
for (const durability of ['full', 'normal'] as const) {
  storage.close();
  storage = new FileStorage(file, { blobDir: false, durability });
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
}
let peak = 0;
measure('pack', count, () => {
  const steps = storage.pack();
  for (let step = steps.next(); !step.done; step = steps.next())
    peak = Math.max(peak, process.memoryUsage.rss());
});
storage.close();

const theirs = runPython();
const rows = Object.entries(ours).map(([name, mine]) => {
  const other = theirs?.[name.replace(' (full)', '').replace(' (normal)', '')];
  return {
    work: name,
    'ours, µs': round(mine),
    'Python, µs': other && round(other),
    ratio: other && round(other / mine),
  };
});
console.table(rows);
console.log(
  `${count} objects, file ${round(fs.statSync(`${file}.python`).size / 1e6)} MB; index ${round(indexBytes / count)} bytes an object; ` +
    `peak of pack ${round(peak / 1e6)} MB` +
    (theirs ? ` (Python ${round(theirs['peak']! / 1000)} MB)` : ''),
);
fs.rmSync(path.dirname(file), { recursive: true });

function round(value: number): number {
  return Number(value.toPrecision(3));
}

function runPython(): Record<string, number> | undefined {
  const { status, stdout, stderr } = spawnSync(
    python,
    [path.join(process.env.BENCH_DIR ?? __dirname, 'file-storage.py'), `${file}.python`, String(count)],
    { encoding: 'utf8' },
  );
  if (status === 0) return JSON.parse(stdout) as Record<string, number>;
  console.log(`Without Python: ${stderr.trim().split('\n').at(-1)}`);
  return undefined;
}

function makeFile(): void {
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
