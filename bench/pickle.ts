/**
 * Reading and writing a state of six fields and a bucket of sixty items, beside JSON, v8 and msgpackr; and finding the
 * references of records beside reading them. Ratios count: run it twice on a quiet machine.
 *
 *     npx esbuild bench/pickle.ts --bundle --platform=node --external:msgpackr | node --expose-gc -
 */
import { deserialize, serialize } from 'node:v8';
import { Packr } from 'msgpackr';
import type { Oid } from '../src/ids';
import {
  ClassMeta,
  FieldList,
  RecordReader,
  RecordWriter,
  references,
  type StrongReference,
} from '../src/record/index';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 40);
let sink: unknown;

/**
 * Nanoseconds a call of each. They take turns in slices of some milliseconds, and the best slice counts: other work on the
 * machine only ever adds, and adds to all alike.
 */
function race<T extends Record<string, () => void>>(runs: T): Record<keyof T, number> {
  const best: Record<string, number> = {};
  for (const [name, run] of Object.entries(runs)) {
    best[name] = Infinity;
    const warm = Date.now() + 150;
    while (Date.now() < warm) for (let i = 0; i < 500; i++) run();
  }
  for (let n = 0; n < ROUNDS; n++) {
    for (const [name, run] of Object.entries(runs)) {
      let calls = 0;
      const start = process.hrtime.bigint();
      let elapsed: number;
      do {
        for (let i = 0; i < 50; i++) run();
        calls += 50;
        elapsed = Number(process.hrtime.bigint() - start);
      } while (elapsed < 2e6);
      best[name] = Math.min(best[name]!, elapsed / calls);
    }
  }
  return best as Record<keyof T, number>;
}

class Ref implements StrongReference {
  readonly kind = 'strong';
  constructor(
    readonly oid: Oid,
    readonly cls: ClassMeta | undefined,
  ) {}
}

const account = ClassMeta.of('bank.models', 'Account');
const reader = new RecordReader({
  strongReference: (oid, cls) => new Ref(oid, cls),
  weakReference: () => null,
  foreignReference: () => null,
});
const writer = new RecordWriter({ reference: (object) => (object instanceof Ref ? object : undefined) });
const packr = new Packr({ useRecords: false });
const shared = new Packr({ structures: [] });

function row(name: string, times: Record<string, number>): void {
  const [[, ours], ...others] = Object.entries(times) as [[string, number], ...[string, number][]];
  const cells = others.map(([other, ns]) => `${other} ${(ns / ours).toFixed(2)}x`);
  process.stdout.write(`${name.padEnd(36)} ${ours.toFixed(0).padStart(7)} ns   ${cells.join('   ')}\n`);
}

function compare(name: string, value: object, record: Buffer, write: () => Buffer): void {
  const json = JSON.stringify(value);
  const jsonBytes = Buffer.from(json);
  const v8Bytes = serialize(value);
  const packed = packr.pack(value);
  const sharedBytes = Buffer.from(shared.pack(value));
  process.stdout.write(
    `${name}: ${record.length} bytes, JSON ${jsonBytes.length}, msgpack ${packed.length}\n`,
  );
  row(
    '  read',
    race({
      ours: () => (sink = reader.read(record)),
      'JSON.parse': () => (sink = JSON.parse(json)),
      'of bytes': () => (sink = JSON.parse(jsonBytes.toString())),
      v8: () => (sink = deserialize(v8Bytes)),
      msgpackr: () => (sink = packr.unpack(packed)),
      'with shared structures': () => (sink = shared.unpack(sharedBytes)),
    }),
  );
  row(
    '  write',
    race({
      ours: () => (sink = write()),
      'JSON.stringify': () => (sink = JSON.stringify(value)),
      'to bytes': () => (sink = Buffer.from(JSON.stringify(value))),
      v8: () => (sink = serialize(value)),
      msgpackr: () => (sink = packr.pack(value)),
      'with shared structures': () => (sink = shared.pack(value)),
    }),
  );
}

const state = {
  id: 123456,
  owner: 'Ann Example',
  balance: 1024.5,
  active: true,
  note: null,
  tags: ['a', 'bc'],
};
const fields = FieldList.of(Object.keys(state));
const values = Object.values(state);
compare('state of 6 fields', state, Buffer.from(writer.writeFields(account, fields, values)), () =>
  writer.writeFields(account, fields, values),
);

const items: unknown[] = [];
for (let i = 0; i < 60; i++) items.push(`account-${String(i).padStart(5, '0')}`, i * 1000);
const bucket = ClassMeta.of('BTrees.OOBTree', 'OOBucket');
const bucketState = Object.freeze([Object.freeze(items)]);
compare('bucket of 60 items', [items], Buffer.from(writer.write(bucket, bucketState)), () =>
  writer.write(bucket, bucketState),
);

const orders = Array.from({ length: 20 }, (_, i) => ({
  sku: `sku-${i}`,
  quantity: i % 7,
  price: 9.99 + i,
  paid: true,
}));
const nested = { orders, customer: { name: 'Ann', city: 'Zürich' } };
const nestedFields = FieldList.of(Object.keys(nested));
compare(
  '20 plain objects in a field',
  nested,
  Buffer.from(writer.writeFields(account, nestedFields, Object.values(nested))),
  () => writer.writeFields(account, nestedFields, Object.values(nested)),
);

process.stdout.write('references found without reading\n');
const refs = Array.from({ length: 60 }, (_, i) => new Ref((1000 + i) as Oid, account));
function scan(name: string, record: Buffer): void {
  row(
    `  ${name}`,
    race({
      scan: () => (sink = references(record)),
      reading: () => (sink = reader.read(record)),
    }),
  );
}
scan('6 fields, no reference', Buffer.from(writer.writeFields(account, fields, values)));
scan(
  '6 fields, 1 reference',
  Buffer.from(writer.writeFields(account, fields, [...values.slice(0, 5), refs[0]])),
);
scan(
  '6 fields, list of 60 references',
  Buffer.from(writer.writeFields(account, fields, [...values.slice(0, 5), refs])),
);
const pairs: unknown[] = [];
for (let i = 0; i < 60; i++) pairs.push(`account-${String(i).padStart(5, '0')}`, refs[i]);
scan(
  'bucket of 60 keys and references',
  Buffer.from(writer.write(bucket, Object.freeze([Object.freeze(pairs)]))),
);
scan('bucket of 60 keys and numbers', Buffer.from(writer.write(bucket, bucketState)));
scan('20 plain objects', Buffer.from(writer.writeFields(account, nestedFields, Object.values(nested))));
void sink;
